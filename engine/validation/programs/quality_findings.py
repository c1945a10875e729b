"""Holds what was measured against the limits, and makes findings of it. Of the check `quality`.

A finding's subject is what it is about, without the number: who was too complex and now is a little more so is no news.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.validation.programs.quality_limits import (
    COGNITIVE,
    CYCLOMATIC,
    FILE,
    INDEX,
    LENGTH,
    NESTING,
    PARAMETERS,
    Limits,
)
from engine.validation.programs.quality_measures import Measures

ERROR, WARNING, INFO = "error", "warning", "info"


class Found(NamedTuple):
    """A finding before it is printed."""

    rule: str
    severity: str
    message: str
    subject: str
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0


WORDS = {
    COGNITIVE: "cognitive complexity {}",
    CYCLOMATIC: "cyclomatic complexity {}",
    LENGTH: "{} lines long",
    PARAMETERS: "{} parameters",
    NESTING: "{} blocks in each other",
}


def of_function(measures: Measures, limits: Limits) -> Iterator[Found]:
    """What of a function is over its limit."""
    name = f"function `{measures.name}`" if measures.named else "a function without a name"
    for rule, number in numbers(measures):
        limit = limits[rule]
        if number is None or limit.soft is None or number <= limit.soft:
            continue
        grave = limit.hard is not None and number > limit.hard and not is_flat(rule, measures, limits)
        told = f"limit {limit.soft}" + (f", never more than {limit.hard}" if grave else "")
        message = f"{WORDS[rule].format(number)}, {told}: {name}"
        severity = ERROR if grave else WARNING
        place = (measures.line, measures.column, measures.end_line, measures.end_column)
        yield Found(rule, severity, message, measures.name, *place)


def numbers(measures: Measures) -> Iterator[tuple[str, int | None]]:
    yield COGNITIVE, measures.cognitive
    yield CYCLOMATIC, measures.cyclomatic
    yield LENGTH, measures.length
    yield PARAMETERS, measures.parameters
    yield NESTING, measures.nesting


def is_flat(rule: str, measures: Measures, limits: Limits) -> bool:
    """Many ways, but none within another: a long `switch` is easy to read and no error."""
    soft = limits[COGNITIVE].soft
    return rule == CYCLOMATIC and measures.cognitive is not None and soft is not None and measures.cognitive <= soft


def of_length(lines: int, limits: Limits) -> Iterator[Found]:
    limit = limits[FILE].soft
    if limit is not None and lines > limit:
        yield Found(FILE, WARNING, f"{lines} lines, limit {limit}: the file", "", 1, 1)


def of_index(index: float, limits: Limits) -> Iterator[Found]:
    limit = limits[INDEX].soft
    if limit is not None and index < limit:
        yield Found(INDEX, WARNING, f"maintainability index {index:.0f} of 100, limit {limit}: the file", "", 1, 1)


def of_docstrings(names: list[tuple[str, bool]]) -> Iterator[Found]:
    """One finding a file, which names the first few."""
    bare = [name if name == "the module" else f"`{name}`" for name, told in names if not told]
    if bare:
        shown = ", ".join(bare[:5]) + (f" and {len(bare) - 5} more" if len(bare) > 5 else "")
        message = f"{len(bare)} of {len(names)} public names have no docstring: {shown}"
        yield Found("missing-docstring", INFO, message, "", 1, 1)
