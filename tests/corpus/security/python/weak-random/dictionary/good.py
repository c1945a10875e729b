import random

def roll(mail):
    return {"mail": mail, "dice": random.randint(1, 6)}
