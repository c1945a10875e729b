from flask import request, render_template_string

def render(body):
    return render_template_string(body)  # expect: template-injection

def view():
    return render("<h1>" + request.args["t"] + "</h1>")
