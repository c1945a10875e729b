from functools import cache


@cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def remembered(n, known):
    if n in known:
        return known[n]
    known[n] = n if n < 2 else remembered(n - 1, known) + remembered(n - 2, known)
    return known[n]


def size(node):
    if node is None:
        return 0
    return size(node.left) + size(node.right)


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


def halves(items):
    middle = len(items) // 2
    return halves(items[:middle]) + halves(items[middle:])


def either(n, flag):
    return either(n - 1, flag) if flag else either(n - 2, flag)
