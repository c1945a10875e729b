import sys
from flask import request

def load():
    code = compile(request.data, "<plugin>", "exec")  # expect: code-injection
    return code
