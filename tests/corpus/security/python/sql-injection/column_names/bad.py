def insert(cursor, table, row):
    columns = ", ".join(row.keys())
    marks = ", ".join("%s" for _ in row)
    cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(row.values()))  # expect: sql-injection
