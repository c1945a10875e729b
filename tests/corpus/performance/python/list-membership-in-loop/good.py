def unique(items):
    seen = set()
    kept = []
    for item in items:
        if item not in seen:
            seen.add(item)
            kept.append(item)
    return kept


def missing(wanted, path):
    with open(path) as file:
        known = set(file.read().split())
    return [name for name in wanted if name not in known]


def short(rows):
    allowed = ["open", "closed", "waiting"]
    return [row for row in rows if row.state in allowed]


def written(rows):
    return [row for row in rows if row.state in ["open", "closed"]]


def outside(rows, name):
    names = [row.name for row in rows]
    return name in names


def fresh(groups):
    for group in groups:
        names = [it.name for it in group]
        if "main" in names:
            yield group


def of_parameter(rows, fields):
    return [row for row in rows if row.name in fields]


def text(rows, path):
    content = str(path)
    return [row for row in rows if row.name in content]


def recent(events):
    last = []
    for event in events:
        if event.id in last:
            continue
        last.append(event.id)
        if len(last) > 10:
            last.pop()


def unhashable(rows):
    found = []
    for row in rows:
        if row not in found:
            found.append([row.a, row.b])
    return found
