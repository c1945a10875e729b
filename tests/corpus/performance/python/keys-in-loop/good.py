def known(rows, index):
    for row in rows:
        if row.id in index:
            yield row


def once(name, table):
    return name in table.keys()


def listed(table):
    return [name for name in table.keys()]
