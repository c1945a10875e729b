from flask import Flask, abort, request
from sqlalchemy import text
from .models import db
app = Flask(__name__)
ALLOWED = {"name", "price"}

@app.route("/products")
def products():
    sort = request.args.get("sort", "name")
    if sort not in ALLOWED:
        abort(400)
    return {"p": [dict(r) for r in db.session.execute(text(f"SELECT * FROM products ORDER BY {sort}"))]}
