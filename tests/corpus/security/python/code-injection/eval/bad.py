from flask import Flask, request
app = Flask(__name__)

@app.route("/calc")
def calc():
    return {"result": eval(request.args["expr"])}  # expect: code-injection
