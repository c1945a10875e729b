from flask import request, render_template_string

def render(body, **values):
    return render_template_string(body, **values)

def view():
    return render("<h1>{{ t }}</h1>", t=request.args["t"])
