import numpy as np

def table(path):
    return np.load(path, allow_pickle=True)  # expect: unsafe-deserialisation
