from flask import Flask, render_template_string, request
app = Flask(__name__)

@app.route("/hi")
def hi():
    name = request.args.get("name")
    return render_template_string("<p>Hello {{ name }}</p>", name=name)
