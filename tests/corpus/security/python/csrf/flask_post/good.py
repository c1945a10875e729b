from flask import Blueprint, request
bp = Blueprint("a", __name__)

@bp.post("/delete")
def delete():
    bp.store.delete(request.get_json()["id"])
    return {}

@bp.route("/list", methods=["GET"])
def listed():
    return {}
