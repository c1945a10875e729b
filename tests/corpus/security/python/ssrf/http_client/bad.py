import http.client
from flask import request

def check():
    connection = http.client.HTTPSConnection(request.args.get("host"))  # expect: ssrf
    connection.request("GET", "/")
