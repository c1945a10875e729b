import os
from flask import abort, request
BASE = "/srv/files"

def read():
    name = request.args["file"]
    path = os.path.realpath(os.path.join(BASE, name))
    if os.path.commonpath([BASE, path]) != BASE:
        abort(404)
    with open(path) as stream:
        return {"text": stream.read()}
