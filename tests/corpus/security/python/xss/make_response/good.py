from flask import Flask, make_response, render_template
app = Flask(__name__)

@app.route("/p/<name>")
def page(name):
    return make_response(render_template("p.html", name=name), 200)

@app.route("/n/<int:number>")
def numbered(number):
    return f"<i>{number}</i>"
