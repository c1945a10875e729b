class Store:
    def __init__(self, connection):
        self.connection = connection

    def select(self, sql, *values):
        return self.connection.execute(sql, values).fetchall()
