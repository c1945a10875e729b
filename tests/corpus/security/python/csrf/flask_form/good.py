from flask import Flask, request, session
from flask_wtf.csrf import CSRFProtect
app = Flask(__name__)
csrf = CSRFProtect(app)

@app.route("/email", methods=["GET", "POST"])
def email():
    if request.method == "POST":
        app.db.set_email(session["user"], request.form["email"])
    return {"ok": True}
