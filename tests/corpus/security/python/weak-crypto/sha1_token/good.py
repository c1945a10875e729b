import hmac
from hashlib import sha256

def sign(token, secret):
    signature = hmac.new(secret, token, sha256).hexdigest()
    return signature
