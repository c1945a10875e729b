def count(path):
    total = 0
    with open(path) as file:
        for line in file.readlines():  # expect: whole-file-in-memory
            total += len(line)
    return total


def stripped(file):
    return [line.strip() for line in file.readlines()]  # expect: whole-file-in-memory
