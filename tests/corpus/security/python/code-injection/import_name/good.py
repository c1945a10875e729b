import importlib
from flask import request
PLUGINS = {"csv": "plugins.csv", "xml": "plugins.xml"}

def plugin():
    module = importlib.import_module(PLUGINS[request.args["name"]])
    return module.run()
