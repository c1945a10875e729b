from flask import Flask, send_from_directory
app = Flask(__name__)

@app.route("/get/<path:name>")
def get(name):
    return send_from_directory("/data", name)
