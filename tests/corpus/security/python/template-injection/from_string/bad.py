import jinja2
from flask import request
env = jinja2.Environment(autoescape=True)

def page():
    source = "{% extends 'base' %}" + request.values["content"]
    return env.from_string(source).render()  # expect: template-injection
