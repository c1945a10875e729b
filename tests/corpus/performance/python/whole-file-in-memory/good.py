def count(path):
    total = 0
    with open(path) as file:
        for line in file:
            total += len(line)
    return total


def backwards(file):
    for line in reversed(file.readlines()):
        yield line


def some(file):
    return [line for line in file.readlines(4096)]
