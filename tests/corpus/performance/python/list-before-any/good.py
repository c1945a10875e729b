def broken(rows):
    return any(row.broken for row in rows)


def either(a, b):
    return any([a, b])


async def awaited(rows):
    return any([await row.check() for row in rows])


def summed(rows):
    return sum([row.size for row in rows])
