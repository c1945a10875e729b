import os

def hashed(text):
    salt = os.urandom(16)
    return salt, text
