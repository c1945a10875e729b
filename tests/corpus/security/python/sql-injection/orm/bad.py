from flask import request
from sqlalchemy import select, text
from .models import User

def go(session):
    name = request.args["name"]
    return session.query(User).filter(text("name = '%s'" % name)).all()  # expect: sql-injection
