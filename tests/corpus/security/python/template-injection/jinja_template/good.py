from flask import request
from jinja2 import Template

def mail():
    return Template("Dear {{ user }}").render(user=request.form["body"])
