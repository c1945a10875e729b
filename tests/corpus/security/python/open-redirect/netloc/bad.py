from urllib.parse import urlparse
from flask import redirect, request

def go():
    target = request.values["target"]
    if urlparse(target).scheme not in ("http", "https"):
        return {}
    return redirect(target)  # expect: open-redirect
