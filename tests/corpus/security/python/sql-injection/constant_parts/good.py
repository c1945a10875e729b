TABLES = ["a", "b"]
COLUMNS = "id, name"

def purge(cursor, newest):
    for table in TABLES:
        cursor.execute(f"DELETE FROM {table}")
    for name, column in (("x", "y"), ("z", "w")):
        cursor.execute("SELECT %s FROM %s" % (column, name))
    direction = "DESC" if newest else "ASC"
    cursor.execute("SELECT " + COLUMNS + " FROM a ORDER BY id " + direction)

def _count(cursor, table):
    cursor.execute(f"SELECT count(*) FROM {table}")

def counts(cursor):
    return _count(cursor, "a"), _count(cursor, "b")
