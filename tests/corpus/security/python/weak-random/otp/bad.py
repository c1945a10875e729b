import random

def send(phone):
    otp = random.randint(100000, 999999)  # expect: weak-random
    phone.send(otp)
