import sqlite3
from flask import Flask, request
app = Flask(__name__)

def by_email(conn, email):
    return conn.execute("SELECT * FROM users WHERE email = '" + email + "'").fetchone()  # expect: sql-injection

@app.post("/login")
def login():
    conn = sqlite3.connect("app.db")
    user = by_email(conn, request.get_json()["email"])
    return {"ok": bool(user)}
