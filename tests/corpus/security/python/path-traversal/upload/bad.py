import os
from flask import request
FOLDER = "/uploads"

def upload():
    file = request.files["file"]
    file.save(os.path.join(FOLDER, file.filename))  # expect: path-traversal
    return {"ok": True}
