import psycopg2
from flask import request

def search():
    conn = psycopg2.connect("dbname=shop")
    with conn.cursor() as cur:
        cur.execute("SELECT * FROM items WHERE title LIKE '%%%s%%'" % request.form["q"])  # expect: sql-injection
        return cur.fetchall()
