from flask import request
from markupsafe import Markup

def badge():
    return Markup(f"<b>{request.args['label']}</b>")  # expect: xss
