"""A module."""

def draw(left, top, width, height, depth, colour, weight):
    """What this is for."""
    return left
