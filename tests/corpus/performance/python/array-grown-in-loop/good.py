import numpy as np
import pandas as pd


def frame(paths):
    parts = []
    for path in paths:
        parts.append(pd.read_csv(path))
    return pd.concat(parts)


def array(readings):
    return np.array([reading.value for reading in readings])


def each(groups):
    for group in groups:
        values = np.append(group.values, 0)
        yield values.sum()


def fixed(a):
    for _ in range(3):
        a = np.append(a, 0)
    return a


def stacked(pairs):
    out = []
    for left, right in pairs:
        joined = np.vstack((left, right))
        out.append(joined)
    return out


def plain(records):
    rows = []
    for record in records:
        rows.append(record)
    return rows
