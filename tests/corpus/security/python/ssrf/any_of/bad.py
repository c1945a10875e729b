import requests
from flask import request
PREFIXES = ("https://a.example.com/", "https://b.example.com/")

def fetch():
    url = request.args["url"]
    if not any(prefix in url for prefix in PREFIXES):
        return {}, 400
    return {"status": requests.get(url, timeout=5).status_code}  # expect: ssrf
