import requests
from flask import Flask, request
app = Flask(__name__)

class Client:
    def __init__(self):
        self.session = requests.Session()

    def load(self, url):
        return self.session.get(url).json()  # expect: ssrf

@app.post("/import")
def import_():
    return Client().load(request.get_json()["source"])
