import sqlite3
from flask import Flask, request
app = Flask(__name__)

def run_query(sql, params=()):
    with sqlite3.connect("app.db") as conn:
        return conn.execute(sql, params).fetchall()

@app.route("/find")
def find():
    rows = run_query(f"SELECT * FROM posts WHERE title LIKE '%{request.args['q']}%'")  # expect: sql-injection
    return {"rows": rows}
