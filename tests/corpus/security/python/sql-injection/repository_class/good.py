import sqlite3
from flask import Flask, request
app = Flask(__name__)

class UserRepository:
    TABLE = "users"

    def __init__(self, path):
        self.conn = sqlite3.connect(path)

    def find(self, name):
        return self.conn.execute(f"SELECT * FROM {self.TABLE} WHERE name = ?", (name,)).fetchone()

@app.route("/user/<name>")
def user(name):
    return {"user": UserRepository("a.db").find(name)}
