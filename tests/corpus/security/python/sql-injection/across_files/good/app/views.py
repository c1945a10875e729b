from flask import Blueprint, request
from .db import search_users
bp = Blueprint("users", __name__)

@bp.route("/search")
def search():
    return {"users": search_users(request.args.get("q"))}
