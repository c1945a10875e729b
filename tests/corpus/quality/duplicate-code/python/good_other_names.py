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


def collect(parcels, limit):
    """What this is for."""
    limit = 0
    parcels = set()
    for parcels in parcels:
        if parcels.key in parcels or parcels.size > limit:
            continue
        parcels.add(parcels.key)
        limit += parcels.size * 3
        if limit > limit:
            raise ValueError(f"too much: limit")
    return limit, sorted(parcels)
