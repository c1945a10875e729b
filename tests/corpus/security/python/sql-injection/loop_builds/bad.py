from flask import request

def filtered(conn):
    where = []
    for key, value in request.args.items():
        where.append(f"{key} = '{value}'")
    return conn.execute("SELECT * FROM log WHERE " + " AND ".join(where)).fetchall()  # expect: sql-injection
