from flask import request
TABLES = ("a", "b")

def check(table):
    if table not in TABLES:
        raise ValueError(table)

def dump(cur):
    table = request.args["table"]
    check(table)
    cur.execute("SELECT * FROM " + table)
    return cur.fetchall()
