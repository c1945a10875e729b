"""A module."""

def draw(left, top, width, height, depth, colour, weight, opacity):  # expect: too-many-parameters
    """What this is for."""
    return left
