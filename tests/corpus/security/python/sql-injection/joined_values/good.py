from flask import request

def several(cur):
    ids = request.args.getlist("id")
    marks = ",".join(["?"] * len(ids))
    cur.execute("SELECT * FROM item WHERE id IN (" + marks + ")", ids)
    more = ",".join(str(int(it)) for it in ids)
    cur.execute("SELECT * FROM item WHERE id IN (" + more + ")")
    return cur.fetchall()
