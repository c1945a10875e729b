import os
from flask import request

def read():
    name = request.args["file"]
    with open(os.path.join("/srv/files", name)) as stream:  # expect: path-traversal
        return {"text": stream.read()}
