from shop.store import Store

class Service:
    def __init__(self, connection):
        self.store = Store(connection)

    def by_brand(self, brand):
        return self.store.select(f"SELECT * FROM product WHERE brand = '{brand}'")  # expect: sql-injection
