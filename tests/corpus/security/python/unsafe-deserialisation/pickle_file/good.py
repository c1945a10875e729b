import json
import pickle

def restore(path, value):
    with open(path, "wb") as stream:
        pickle.dump(value, stream)
    with open(path) as stream:
        return json.load(stream)
