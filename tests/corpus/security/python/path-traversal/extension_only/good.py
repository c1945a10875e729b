import os
from flask import abort, request
FOLDER = "/uploads"

def upload():
    file = request.files["file"]
    extension = os.path.splitext(file.filename)[1].lower()
    if extension not in {".png", ".jpg"}:
        abort(400)
    file.save(os.path.join(FOLDER, os.urandom(8).hex() + extension))
