def purge(cursor, tables):
    for table in tables:
        cursor.execute(f"DELETE FROM {table}")  # expect: sql-injection
