from flask import Flask, send_file
app = Flask(__name__)

@app.route("/get/<path:name>")
def get(name):
    return send_file("/data/" + name)  # expect: path-traversal
