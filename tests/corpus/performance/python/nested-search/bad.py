def doubles(rows):
    for row in rows:
        for other in rows:  # expect: nested-search
            if row.name == other.name and row is not other:
                yield row


def joined(orders, customers):
    for order in orders:
        for customer in customers:  # expect: nested-search
            if order.customer_id == customer.id:
                order.customer = customer


def parents(nodes):
    for node in nodes:
        for candidate in nodes:  # expect: nested-search
            if candidate["id"] == node["parent"]:
                node["up"] = candidate
                break
