import os
from flask import request
HOME = os.environ["DATA_HOME"]

def load():
    with open(os.path.join(HOME, request.args["name"])) as stream:  # expect: path-traversal
        return {"text": stream.read()}
