import re

PATTERN = re.compile(r"^\d+$")


def ranks(items, scores):
    ordered = sorted(scores)
    for item in items:
        yield sum(score < item for score in ordered)


def shares(values):
    total = sum(values)
    return [value / total for value in values]


def shrinking(rounds, values):
    for number in rounds:
        values.remove(number)
        yield max(values)


def own(rows):
    for row in rows:
        yield max(row), sorted(row)


def copies(rows, first):
    result = []
    for row in rows:
        order = sorted(first)
        order.append(row)
        result.append(order)
    return result


def rarely(rows, values):
    for row in rows:
        if row.broken:
            row.value = max(values)


def until(rows, values):
    for row in rows:
        if row:
            return sum(values)
    return 0


def matching(lines):
    return [line for line in lines if PATTERN.match(line)]


def built(names, lines):
    for name in names:
        yield re.compile(name), lines


def handed_on(rows, values):
    for row in rows:
        row.apply(values)
        yield sum(values)
