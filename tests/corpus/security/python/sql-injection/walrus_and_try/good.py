from flask import abort, request

def one(cur):
    try:
        key = int(request.cookies.get("key", ""))
    except ValueError:
        abort(400)
    cur.execute(f"SELECT * FROM sessions WHERE key = {key}")
    return cur.fetchone()
