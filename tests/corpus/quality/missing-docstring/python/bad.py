# expect: missing-docstring
x = 1


def public(a):
    return a


class Thing:
    def method(self):
        return 1
