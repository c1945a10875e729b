import re
from flask import request
NAME = re.compile(r"[a-z_]{1,30}")

def dump(cur):
    table = request.args["table"]
    if not NAME.fullmatch(table):
        raise ValueError(table)
    cur.execute(f"SELECT * FROM {table}")
