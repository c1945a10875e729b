def known(rows, index):
    for row in rows:
        if row.id in index.keys():  # expect: keys-in-loop
            yield row


def missing(names, table):
    return [name for name in names if name not in table.keys()]  # expect: keys-in-loop
