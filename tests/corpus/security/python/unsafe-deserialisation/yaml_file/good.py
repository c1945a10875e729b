import yaml

class Loader(yaml.SafeLoader):
    pass

def settings(path):
    with open(path) as stream:
        return yaml.load(stream, Loader=Loader)
