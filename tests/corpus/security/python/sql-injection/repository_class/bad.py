import sqlite3
from flask import Flask, request
app = Flask(__name__)

class UserRepository:
    def __init__(self, path):
        self.conn = sqlite3.connect(path)

    def find(self, name):
        return self.conn.execute("SELECT * FROM users WHERE name = '%s'" % name).fetchone()  # expect: sql-injection

@app.route("/user/<name>")
def user(name):
    return {"user": UserRepository("a.db").find(name)}
