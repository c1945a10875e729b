import http.client
from flask import request

def check():
    connection = http.client.HTTPSConnection("example.com")
    connection.request("GET", "/?q=" + request.args.get("host"))
