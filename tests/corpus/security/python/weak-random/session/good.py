import random as rnd

def sample_tokens(text):
    tokens = text.split()
    return [rnd.choice(word) for word in tokens]
