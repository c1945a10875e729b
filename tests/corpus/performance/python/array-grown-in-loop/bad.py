import numpy as np
import pandas as pd


def frame(paths):
    df = pd.DataFrame()
    for path in paths:
        df = pd.concat([df, pd.read_csv(path)])  # expect: array-grown-in-loop
    return df


def array(readings):
    values = np.array([])
    for reading in readings:
        values = np.append(values, reading.value)  # expect: array-grown-in-loop
    return values


def rows(records):
    table = pd.DataFrame(columns=["a", "b"])
    for record in records:
        table = table.append(record, ignore_index=True)  # expect: array-grown-in-loop
    return table


def stacked(batches):
    out = None
    for batch in batches:
        if out is None:
            out = batch
        out = np.vstack((out, batch))  # expect: array-grown-in-loop


def signal(source):
    samples = np.zeros(0)
    while source.more():
        samples = np.concatenate((samples, source.read()))  # expect: array-grown-in-loop
    return samples
