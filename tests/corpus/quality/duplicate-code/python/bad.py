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


def collect(parcels, weight):  # expect: duplicate-code
    """What this is for."""
    load = 0
    known = set()
    for parcel in parcels:
        if parcel.key in known or parcel.size > weight:
            continue
        known.add(parcel.key)
        load += parcel.size * 3
        if load > weight:
            raise ValueError(f"too much: load")
    return load, sorted(known)
