def broken(rows):
    return any([row.broken for row in rows])  # expect: list-before-any


def fine(rows):
    if all([row.checked() for row in rows if row]):  # expect: list-before-any
        return True
    return False
