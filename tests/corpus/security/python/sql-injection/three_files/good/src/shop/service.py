from shop.store import Store

class Service:
    def __init__(self, connection):
        self.store = Store(connection)

    def by_brand(self, brand):
        return self.store.select("SELECT * FROM product WHERE brand = ?", brand)
