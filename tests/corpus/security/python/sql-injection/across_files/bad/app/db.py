import sqlite3

def connect():
    return sqlite3.connect("app.db")

def search_users(term):
    cursor = connect().cursor()
    cursor.execute("SELECT * FROM users WHERE name LIKE '%" + term + "%'")  # expect: sql-injection
    return cursor.fetchall()
