"""A module."""

def decide(a, b):  # expect: cognitive-complexity
    """What this is for."""
    if a > 1 and b > 0 or b > 1 and b > 2 or b > 3 and b > 4 or b > 5 and b > 6 or b > 7 and b > 8:
        return 1
    if a > 1 and b > 0 or b > 1 and b > 2 or b > 3 and b > 4 or b > 5 and b > 6 or b > 7:
        return 2
    return a
