def joined(orders, customers):
    by_id = {customer.id: customer for customer in customers}
    for order in orders:
        order.customer = by_id[order.customer_id]


def distances(points):
    for a in points:
        for b in points:
            yield abs(a.x - b.x)


def cells(rows):
    for row in rows:
        for cell in row:
            if cell == row[0]:
                yield cell


def few(orders):
    kinds = ("a", "b")
    for order in orders:
        for kind in kinds:
            if order.kind == kind:
                yield order


def nearer(points):
    for a in points:
        for b in points:
            if a.x < b.x:
                yield a, b
