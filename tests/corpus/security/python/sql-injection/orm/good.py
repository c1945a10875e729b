from flask import request
from sqlalchemy import select, text, func
from .models import User

def go(session):
    name = request.args["name"]
    session.execute(select(User).where(User.name == name).order_by(User.id))
    session.execute(select(User).where(func.lower(User.name).like(f"%{name}%")))
    return session.query(User).filter(User.name == name).filter_by(name=name).all()
