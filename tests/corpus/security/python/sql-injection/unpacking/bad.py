from flask import request

def update(cursor):
    user, role = request.json["user"], request.json["role"]
    cursor.executescript(f"UPDATE users SET role = '{role}' WHERE name = '{user}'")  # expect: sql-injection
