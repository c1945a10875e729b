"""What is measured of a function, and what a place in a file is. Records; of the check `quality`."""

from __future__ import annotations

from typing import NamedTuple


class Measures(NamedTuple):
    """One function. line to end_column: its head, in characters from 1.

    cognitive: None for a function whose complexity counts as part of the one around it. named: it has a name of its
    own; a callback that is written where it is handed over has none. length: None where the number means nothing.
    """

    name: str
    line: int
    column: int
    end_line: int
    end_column: int
    cyclomatic: int
    cognitive: int | None
    nesting: int
    length: int | None
    parameters: int
    named: bool
