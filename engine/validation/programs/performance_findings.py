"""What the parts of the `performance` check hand to it."""

from __future__ import annotations

from typing import NamedTuple

GRAVITY = {"error": 0, "warning": 1, "info": 2}


class Finding(NamedTuple):
    """A slow place. reference: the rule of another tool for the same fault, "" when there is none."""

    rule: str
    severity: str
    message: str
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    reference: str = ""


def not_analysed(reason: str, severity: str = "info") -> Finding:
    return Finding("not-analysed", severity, reason, 1, 1)
