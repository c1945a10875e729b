from flask import request

def several(cur):
    ids = request.args.getlist("id")
    cur.execute("SELECT * FROM item WHERE id IN (" + ",".join(ids) + ")")  # expect: sql-injection
    return cur.fetchall()
