import pickle

def restore(path):
    with open(path, "rb") as stream:
        return pickle.load(stream)  # expect: unsafe-deserialisation
