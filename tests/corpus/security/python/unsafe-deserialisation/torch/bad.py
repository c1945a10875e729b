import torch

def weights(path):
    return torch.load(path, map_location="cpu")  # expect: unsafe-deserialisation
