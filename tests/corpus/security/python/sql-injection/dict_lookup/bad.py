from flask import request

def page(cursor):
    options = {"sort": request.args.get("sort"), "limit": 10}
    cursor.execute("SELECT * FROM t ORDER BY %s LIMIT %d" % (options["sort"], options["limit"]))  # expect: sql-injection
    return cursor.fetchall()
