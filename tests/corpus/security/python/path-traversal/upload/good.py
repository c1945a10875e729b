import os
from flask import request
from werkzeug.utils import secure_filename
FOLDER = "/uploads"

def upload():
    file = request.files["file"]
    name = secure_filename(file.filename)
    file.save(os.path.join(FOLDER, name))
    return {"ok": True}
