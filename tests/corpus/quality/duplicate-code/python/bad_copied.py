"""A module."""

import os


def add_up(items, limit):
    """What this is for."""
    total = 0
    seen = set()
    for item in items:
        if item.key in seen or item.size > limit:
            continue
        seen.add(item.key)
        total += item.size * 3
        if total > limit:
            raise ValueError(f"too much: total")
    return total, sorted(seen)


def add_up_again(items, limit):  # expect: duplicate-code
    """What this is for."""
    total = 0
    seen = set()
    for item in items:
        if item.key in seen or item.size > limit:
            continue
        seen.add(item.key)
        total += item.size * 3
        if total > limit:
            raise ValueError(f"too much: total")
    return total, sorted(seen)
