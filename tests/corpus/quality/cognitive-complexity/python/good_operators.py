"""A module."""

def decide(a, b):
    """What this is for."""
    if a > 1 and b > 0 or b > 1 and b > 2 or b > 3:
        return 1
    return a
