"""A module."""

x = 1


def public(a):
    """Say it."""
    return a


class Thing:
    """A thing."""

    def method(self):
        """Do it."""
        return 1

    def _own(self):
        return 2

    def __len__(self):
        return 3


def _private(a):
    def inner(b):
        return b

    return inner(a)
