from flask import request

def one(cur):
    try:
        if (key := request.cookies.get("key")) is not None:
            cur.execute("SELECT * FROM sessions WHERE key = '" + key + "'")  # expect: sql-injection
    except ValueError:
        return None
    return cur.fetchone()
