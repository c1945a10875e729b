import os
import shutil
from flask import Flask, request
app = Flask(__name__)

def full(name):
    return os.path.join("/srv", os.path.basename(name))

@app.route("/rm", methods=["DELETE"])
def rm():
    shutil.rmtree(full(request.args["dir"]))
    return {}
