from flask import Flask, request
app = Flask(__name__)

@app.route("/x")
def view():
    name = request.args["name"]

    def inner(cursor):
        cursor.execute("SELECT * FROM t WHERE n = '" + name + "'")  # expect: sql-injection
        return cursor.fetchall()

    return {"r": inner(app.db.cursor())}
