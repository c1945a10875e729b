from flask import request
COLUMNS = {"date": "created_at", "name": "title"}

def page(cursor):
    options = {"sort": COLUMNS.get(request.args.get("sort"), "id"), "limit": 10}
    cursor.execute("SELECT * FROM t ORDER BY %s LIMIT %d" % (options["sort"], options["limit"]))
    return cursor.fetchall()
