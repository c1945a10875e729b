import json
import base64
import pickle
from flask import request

def load():
    copy = pickle.loads(pickle.dumps({"a": 1}))
    return copy, json.loads(base64.b64decode(request.cookies["state"]))
