import secrets
import string

def make_token():
    return "".join(secrets.choice(string.ascii_letters) for _ in range(32))
