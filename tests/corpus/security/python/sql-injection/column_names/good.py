from psycopg2 import sql

def insert(cursor, table, row):
    columns = sql.SQL(", ").join(map(sql.Identifier, row.keys()))
    marks = sql.SQL(", ").join(sql.Placeholder() * len(row))
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(sql.Identifier(table), columns, marks)
    cursor.execute(query, list(row.values()))
