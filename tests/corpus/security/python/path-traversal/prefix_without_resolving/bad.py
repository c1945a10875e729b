import os
from flask import abort, request
BASE = "/srv/files/"

def remove():
    path = os.path.join(BASE, request.form["name"])
    if not path.startswith(BASE):
        abort(400)
    os.remove(path)  # expect: path-traversal
