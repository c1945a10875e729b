from collections import deque


def drained(start):
    queue = deque([start])
    while queue:
        node = queue.popleft()
        queue.extend(node.children)


def backwards(items):
    result = []
    for item in items:
        result.append(item)
    result.reverse()
    return result


def one(items):
    first = items.pop(0)
    return first, items


def headers(rows):
    for row in rows:
        cells = row.split(",")
        cells.pop(0)
        yield cells


def table(slots):
    for slot in slots:
        known = {0: slot}
        yield known.pop(0)


def last(stack):
    kept = [stack]
    while kept:
        kept.pop()
