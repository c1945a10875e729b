import importlib
from flask import request

def plugin():
    module = importlib.import_module("plugins." + request.args["name"])  # expect: code-injection
    return module.run()
