import copy


def each(template, rows):
    for row in rows:
        yield {**template, "row": row}


def once(template):
    return copy.deepcopy(template)


def few(template):
    return [copy.deepcopy(template) for _ in range(3)]


def shallow(rows):
    return [copy.copy(row) for row in rows]
