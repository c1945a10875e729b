class Store:
    def __init__(self, connection):
        self.connection = connection

    def select(self, sql):
        return self.connection.execute(sql).fetchall()
