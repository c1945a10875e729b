def evens(numbers):
    found = []
    for number in numbers:
        if number % 2 == 0:
            found = found + [number]  # expect: sequence-copied-in-loop
    return found


def pairs(items):
    result = ()
    for item in items:
        result += (item.key,)  # expect: sequence-copied-in-loop
    return result


def spread(items):
    result = []
    for item in items:
        result = [*result, item]  # expect: sequence-copied-in-loop
    return result


def merged(parts):
    known = {}
    for part in parts:
        known = {**known, **part}  # expect: sequence-copied-in-loop
    return known


class Queue:
    def take(self, items):
        for item in items:
            self.items = [*self.items, item]  # expect: sequence-copied-in-loop


def walked(node):
    trail = []
    while node is not None:
        trail = trail + [node.name]  # expect: sequence-copied-in-loop
        node = node.parent
    return trail
