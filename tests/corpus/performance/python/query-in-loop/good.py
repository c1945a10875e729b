from app.models import Author, Book


def names(cursor, ids):
    cursor.execute("SELECT name FROM people WHERE id = ANY(%s)", (ids,))
    for row in cursor:
        yield row


def books():
    for book in Book.objects.filter(author__in=Author.objects.all()):
        yield book


def stored(cursor, rows):
    cursor.executemany("INSERT INTO t VALUES (?, ?)", rows)


def tables(cursor):
    for name in ("a", "b"):
        cursor.execute("SELECT count(*) FROM " + name)


def polled(cursor, clock):
    for _ in clock:
        cursor.execute("SELECT 1")


def cached(session, urls):
    for url in urls:
        yield session.get(url)


def plain(rows, config):
    for row in rows:
        yield config.get(row), row.objects.get(row)


def first(cursor, ids):
    for number in ids:
        cursor.execute("SELECT 1 WHERE id = ?", (number,))
        return cursor.fetchone()


def schema(cursor, statements):
    for statement in statements:
        cursor.execute(statement)
