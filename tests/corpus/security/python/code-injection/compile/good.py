import re
import ast
from flask import request

def load():
    pattern = re.compile("a+")
    ast.parse("x")
    return pattern.match(request.args["a"]), compile("1 + 1", "<x>", "eval")
