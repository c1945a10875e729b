from random import choices

def create(user):
    password = "".join(choices("abc123", k=10))  # expect: weak-random
    user.set(password)
