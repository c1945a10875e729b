"""How a rule of the plan language says no: one exception that carries words for people.

Rules raise it, the readers turn it into a `Fault` with a place; it never leaves `engine.plan.parse` as such.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_SHOWN_CHARACTERS: Final = 60
_MOST_CANDIDATES: Final = 500
_LONGEST_NAME: Final = 80


class ValueRefusedError(ValueError):
    """A value breaks a rule. `message` says which, `hint` (may be empty) what would be right."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.message = message
        self.hint = hint


def shown(value: str) -> str:
    """`value` in quotes for a message: cut to 60 characters, with anything unprintable escaped."""
    cut = value if len(value) <= _SHOWN_CHARACTERS else value[: _SHOWN_CHARACTERS - 3] + "..."
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
    return f'"{printable}"'


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A hint that names the candidate most like `name`, or "" when none is near.

    Looks at no more than 500 candidates and at no name longer than 80 characters, so that the work for a
    hostile file stays small.
    """
    if len(name) > _LONGEST_NAME:
        return ""
    known = [candidate for candidate, _ in zip(candidates, range(_MOST_CANDIDATES), strict=False)]
    near = get_close_matches(name, known, n=1, cutoff=0.6) or get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def listed(names: Iterable[str]) -> str:
    """`a, b or c`."""
    every = list(names)
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} or {every[-1]}"
