from flask import request

def update(cursor):
    user, role = request.json["user"], request.json["role"]
    cursor.execute("UPDATE users SET role = ? WHERE name = ?", (role, user))
