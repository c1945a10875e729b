from flask import Flask, request
from tools import shell
app = Flask(__name__)

@app.route("/ping")
def ping():
    return {"out": str(shell.run("ping -c 1 " + request.args["host"]))}  # expect: command-injection
