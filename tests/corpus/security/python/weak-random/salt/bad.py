import random

def hashed(text):
    salt = str(random.random())  # expect: weak-random
    return salt + text
