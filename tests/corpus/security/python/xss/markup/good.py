from flask import request
from markupsafe import Markup

def badge():
    return Markup("<b>{}</b>").format(request.args["label"])
