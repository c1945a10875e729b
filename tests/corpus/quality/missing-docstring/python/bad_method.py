"""A module."""  # expect: missing-docstring


class Thing:
    """A thing."""

    def method(self):
        return 1
