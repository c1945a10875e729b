from flask import Flask, request, session
app = Flask(__name__)

@app.route("/email", methods=["GET", "POST"])  # expect: csrf
def email():
    if request.method == "POST":
        app.db.set_email(session["user"], request.form["email"])
    return {"ok": True}
