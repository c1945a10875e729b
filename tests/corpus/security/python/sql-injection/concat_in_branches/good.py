import MySQLdb
from flask import request

def report(db):
    sql = "SELECT * FROM sales WHERE 1 = 1"
    params = []
    if request.args.get("region"):
        sql += " AND region = %s"
        params.append(request.args["region"])
    cur = db.cursor()
    cur.execute(sql, params)
    return cur.fetchall()
