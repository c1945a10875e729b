import random

def invite(mail):
    return {"mail": mail, "api_key": random.getrandbits(64)}  # expect: weak-random
