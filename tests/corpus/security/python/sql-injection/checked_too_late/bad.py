from flask import request
TABLES = ("a", "b")

def dump(cur):
    table = request.args["table"]
    cur.execute("SELECT * FROM " + table)  # expect: sql-injection
    if table not in TABLES:
        raise ValueError(table)
    return cur.fetchall()
