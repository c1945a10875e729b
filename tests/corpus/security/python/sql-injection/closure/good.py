from concurrent.futures import ThreadPoolExecutor
from flask import Flask, request
app = Flask(__name__)

@app.route("/x")
def view():
    name = request.args["name"]

    def inner(cursor):
        cursor.execute("SELECT * FROM t WHERE n = ?", (name,))
        return cursor.fetchall()

    executor = app.executor
    executor.execute(f"task {name}")
    return {"r": inner(app.db.cursor())}
