import yaml
from flask import request
from yaml import CSafeLoader as Loader

def parse():
    yaml.load(request.data, Loader=yaml.SafeLoader)
    yaml.load(request.data, Loader)
    return yaml.safe_load(request.data)
