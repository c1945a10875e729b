from flask import request
from jinja2 import Template

def mail():
    return Template(request.form["body"]).render(user="x")  # expect: template-injection
