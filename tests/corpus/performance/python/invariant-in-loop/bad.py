import re


def ranks(items, scores):
    for item in items:
        order = 0
        for score in sorted(scores):  # expect: invariant-in-loop
            order += score < item
        yield order


def shares(values):
    return [value / sum(values) for value in values]  # expect: invariant-in-loop


def scaled(rows, values):
    for row in rows:
        row.value = row.value / max(values)  # expect: invariant-in-loop


def matching(lines):
    found = []
    for line in lines:
        pattern = re.compile(r"^\d+$")  # expect: invariant-in-loop
        if pattern.match(line):
            found.append(line)
    return found


def counted(rows, source):
    for row in rows:
        row.share = 1 / len(list(source))  # expect: invariant-in-loop


def kept(names, wanted):
    return [name for name in names if name in set(wanted)]  # expect: invariant-in-loop
