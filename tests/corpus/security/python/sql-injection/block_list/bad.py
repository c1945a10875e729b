from flask import request
FORBIDDEN = {"users", "secrets"}

def dump(cur):
    table = request.args["table"]
    if table in FORBIDDEN:
        raise ValueError(table)
    cur.execute(f"SELECT * FROM {table}")  # expect: sql-injection
