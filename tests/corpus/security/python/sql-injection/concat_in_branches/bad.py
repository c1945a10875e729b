import MySQLdb
from flask import request

def report(db):
    sql = "SELECT * FROM sales WHERE 1 = 1"
    if request.args.get("region"):
        sql += " AND region = '" + request.args["region"] + "'"
    cur = db.cursor()
    cur.execute(sql)  # expect: sql-injection
    return cur.fetchall()
