from flask import Flask, request
from sqlalchemy import text
from .models import db
app = Flask(__name__)

@app.route("/products")
def products():
    sort = request.args.get("sort", "name")
    return {"p": [dict(r) for r in db.session.execute(text(f"SELECT * FROM products ORDER BY {sort}"))]}  # expect: sql-injection
