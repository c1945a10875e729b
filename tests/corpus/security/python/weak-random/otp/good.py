import random
import time

def send(phone):
    delay = random.uniform(0, 1)
    time.sleep(delay)
    phone.send(random.SystemRandom().randint(100000, 999999))
