from urllib.parse import urljoin, urlparse
from flask import redirect, request

def is_safe(target):
    ours = urlparse(request.host_url)
    theirs = urlparse(urljoin(request.host_url, target))
    return theirs.scheme in ("http", "https") and ours.netloc == theirs.netloc

def go():
    target = request.values["target"]
    if not is_safe(target):
        return {}
    return redirect(target)
