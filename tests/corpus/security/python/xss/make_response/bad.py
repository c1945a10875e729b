from flask import Flask, make_response
app = Flask(__name__)

@app.route("/p/<name>")
def page(name):
    return make_response("<i>%s</i>" % name, 200)  # expect: xss
