import yaml

def settings(path):
    with open(path) as stream:
        return yaml.load(stream)  # expect: unsafe-deserialisation
