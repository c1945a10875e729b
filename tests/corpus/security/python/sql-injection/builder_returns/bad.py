import sqlite3
from flask import request

def build_filter(field, value):
    return f"{field} = '{value}'"

def listing():
    clause = build_filter("status", request.args.get("status"))
    conn = sqlite3.connect("x.db")
    return conn.execute("SELECT * FROM jobs WHERE " + clause).fetchall()  # expect: sql-injection
