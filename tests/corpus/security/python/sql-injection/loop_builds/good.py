from flask import request
FIELDS = ("level", "host")

def filtered(conn):
    where, values = [], []
    for key in FIELDS:
        if key in request.args:
            where.append(f"{key} = ?")
            values.append(request.args[key])
    return conn.execute("SELECT * FROM log WHERE " + " AND ".join(where), values).fetchall()
