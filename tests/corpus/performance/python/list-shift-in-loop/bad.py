def drained(start):
    queue = [start]
    while queue:
        node = queue.pop(0)  # expect: list-shift-in-loop
        queue.extend(node.children)


def backwards(items):
    result = []
    for item in items:
        result.insert(0, item)  # expect: list-shift-in-loop
    return result


def digits(number):
    found = list()
    while number:
        found.insert(0, number % 10)  # expect: list-shift-in-loop
        number //= 10
    return found


def typed(tasks: list):
    while tasks:
        tasks.pop(0).run()  # expect: list-shift-in-loop
