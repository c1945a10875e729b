from flask import Blueprint, request
bp = Blueprint("a", __name__)

@bp.post("/delete")  # expect: csrf
def delete():
    bp.store.delete(request.form.get("id"))
    return {}
