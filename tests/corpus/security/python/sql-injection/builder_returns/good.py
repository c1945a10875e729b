import sqlite3
from flask import request

def build_filter(field):
    return f"{field} = ?"

def listing():
    clause = build_filter("status")
    conn = sqlite3.connect("x.db")
    return conn.execute("SELECT * FROM jobs WHERE " + clause, (request.args.get("status"),)).fetchall()
