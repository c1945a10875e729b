from app.models import Author, Book
from sqlalchemy import text


def names(cursor, ids):
    for number in ids:
        cursor.execute("SELECT name FROM people WHERE id = %s", (number,))  # expect: query-in-loop
        yield cursor.fetchone()


def books():
    for author in Author.objects.all():
        for book in Book.objects.filter(author=author):  # expect: query-in-loop
            yield book


def details(session, rows):
    for row in rows:
        yield session.query(Book).filter(Book.id == row.id).one()  # expect: query-in-loop


def fetched(session, ids):
    return [session.get(Book, number) for number in ids]  # expect: query-in-loop


def totals(conn, users):
    for user in users:
        key = user.id
        row = conn.execute("select sum(x) from orders where user = ?", (key,)).fetchone()  # expect: query-in-loop
        user.total = row[0]


def stored(cursor, rows):
    for row in rows:
        cursor.execute("INSERT INTO t VALUES (?, ?)", row)  # expect: query-in-loop


def flask(ids):
    return {number: Book.query.get(number) for number in ids}  # expect: query-in-loop


def formatted(self, ids):
    for number in ids:
        self.db.execute(text(f"SELECT * FROM t WHERE id = {number}"))  # expect: query-in-loop
