def unique(items):
    seen = []
    for item in items:
        if item not in seen:  # expect: list-membership-in-loop
            seen.append(item)
    return seen


def missing(wanted, path):
    with open(path) as file:
        known = file.read().split()
    return [name for name in wanted if name not in known]  # expect: list-membership-in-loop


def common(left, right):
    names = [it.name for it in right]
    found = []
    for it in left:
        if it.name in names:  # expect: list-membership-in-loop
            found.append(it)
    return found


def made_each_time(rows, known):
    for row in rows:
        if row.key in list(known):  # expect: list-membership-in-loop
            yield row


def visited(start):
    done = []
    todo = [start]
    while todo:
        node = todo.pop()
        if node in done:  # expect: list-membership-in-loop
            continue
        done.append(node)
        todo.extend(node.next)
    return done


STOP = ["a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not",
        "of", "on", "or", "such", "that"]


def words(text):
    return [word for word in text.split() if word not in STOP]  # expect: list-membership-in-loop


def typed(items: list, taken: dict):
    order: list = sorted(taken)
    return sum(1 for item in items if item in order)  # expect: list-membership-in-loop
