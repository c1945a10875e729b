from hashlib import sha1

def sign(token, secret):
    signature = sha1(token + secret).hexdigest()  # expect: weak-crypto
    return signature
