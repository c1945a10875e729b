import pymysql

def load(conn, order_id):
    cursor = conn.cursor(pymysql.cursors.DictCursor)
    query = "SELECT * FROM orders WHERE id = {} AND deleted = 0".format(order_id)
    cursor.execute(query)  # expect: sql-injection
    return cursor.fetchone()
