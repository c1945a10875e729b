import requests
from flask import request

def fetch():
    return {"t": requests.get(request.args["url"], timeout=5).text}  # expect: ssrf
