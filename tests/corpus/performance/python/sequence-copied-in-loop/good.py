def evens(numbers):
    found = []
    for number in numbers:
        if number % 2 == 0:
            found += [number]
    return found


def pairs(items):
    return tuple(item.key for item in items)


def spread(groups):
    for group in groups:
        row = [0]
        row = [*row, *group]
        yield row


def merged(parts):
    known = {}
    for part in parts:
        known.update(part)
    return known


def padded(values):
    shape = ()
    for _ in range(4):
        shape += (1,)
    return shape + tuple(values)


def first(items):
    found = []
    for item in items:
        if item.fits:
            found = found + [item]
            return found
    return found


def counted(numbers):
    total = 0
    for number in numbers:
        total = total + number
    return total
