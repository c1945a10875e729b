def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)  # expect: exponential-recursion


def steps(n, size):
    if n < 0:
        return 0
    without = steps(n - 1, size)
    return max(without, steps(n - 1, size - 1) + steps(n - 2, size))  # expect: exponential-recursion


class Grid:
    def paths(self, x, y):
        if x == 0 or y == 0:
            return 1
        return self.paths(x - 1, y) + self.paths(x, y - 1)  # expect: exponential-recursion
