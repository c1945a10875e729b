import copy
from copy import deepcopy


def each(template, rows):
    for row in rows:
        made = copy.deepcopy(template)  # expect: deepcopy-in-loop
        made["row"] = row
        yield made


def states(steps):
    return [deepcopy(step) for step in steps]  # expect: deepcopy-in-loop
