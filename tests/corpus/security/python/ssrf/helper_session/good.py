import requests
from flask import Flask, request
app = Flask(__name__)

class Client:
    base = "https://api.example.com"

    def __init__(self):
        self.session = requests.Session()

    def load(self, name):
        return self.session.get("https://api.example.com/v1/" + name, params={"q": name}).json()

@app.post("/import")
def import_():
    return Client().load(request.get_json()["source"])
