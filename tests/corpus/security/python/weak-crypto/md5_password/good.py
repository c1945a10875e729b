import hashlib

def store(password, salt):
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)

def etag(body):
    return hashlib.md5(body, usedforsecurity=False).hexdigest()

def cache_name(text):
    return hashlib.md5(text.encode()).hexdigest()
