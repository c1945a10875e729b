import os
import shlex
from flask import request

def ping():
    host = request.form["host"]
    os.system("ping -c 1 " + shlex.quote(host))
