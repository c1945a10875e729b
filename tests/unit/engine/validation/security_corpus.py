"""Runs a program of the `security` check over its corpus and compares what it finds with what the files expect."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from engine.validation.programs.looking import Report

CORPUS = Path(__file__).parents[3] / "corpus" / "security"

EXPECTED = re.compile(r"expect: ([\w-]+(?:, [\w-]+)*)")

Check = Callable[[bytes, bytes, Report], None]


def findings(check: Check, data: bytes, name: str) -> list[dict[str, Any]]:
    """What the program prints about one file."""
    out = StringIO()
    with redirect_stdout(out):
        check(data, name.encode(), Report())
    return [json.loads(line) for line in out.getvalue().splitlines()]


class Sample(NamedTuple):
    """A file of a corpus. bad: it expects findings; else it is a fixed twin."""

    group: str
    name: str
    bad: bool
    text: str


@dataclass
class Score:
    """One group's files, and the lines where finding and expectation agree and differ."""

    bad: int = 0
    good: int = 0
    hits: int = 0
    missed: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return self.hits / ((self.hits + len(self.missed)) or 1)

    @property
    def precision(self) -> float:
        return self.hits / ((self.hits + len(self.false)) or 1)


def scores(
    check: Check,
    group: str,
    known_misses: frozenset[str] = frozenset(),
    fill: Callable[[str], str] = lambda text: text,
) -> dict[str, Score]:
    """For each directory below `group`; known misses (`name/file:line rule`) count neither way.

    fill: makes a file's text of what is stored, for samples that must not be stored as they are.
    """

    def found(text: str, name: str) -> set[tuple[int, str]]:
        told = findings(check, fill(text).encode(), name)
        return {(it["line"], it["rule"]) for it in told if it["severity"] != "info"}

    return scores_of(samples(CORPUS / group), found, known_misses)


def scores_of(
    given: Iterable[Sample],
    look: Callable[[str, str], set[tuple[int, str]]],
    known_misses: frozenset[str] = frozenset(),
) -> dict[str, Score]:
    """For each group of samples. look: the lines and rules that are found in a text of this name."""
    made: dict[str, Score] = defaultdict(Score)
    for it in given:
        score = made[it.group]
        score.bad += it.bad
        score.good += not it.bad
        wanted = {(number, rule) for number, line in enumerate(it.text.split("\n"), 1) for rule in rules(line)}
        found = look(it.text, it.name)
        assert bool(wanted) == it.bad, f"{it.name}: a bad file expects something, a good one nothing"
        score.hits += len(wanted & found)
        score.missed += [place for place in said(it.name, wanted - found) if place not in known_misses]
        score.false += [place for place in said(it.name, found - wanted) if place not in known_misses]
    return dict(made)


def samples(root: Path) -> Iterator[Sample]:
    """Of every directory in `root`, which is a group."""
    for path in sorted(root.rglob("*.*")):
        if path.is_file():
            name = path.relative_to(root)
            yield Sample(name.parts[0], str(name), path.name.startswith("bad"), path.read_text())


def rules(line: str) -> list[str]:
    match = EXPECTED.search(line)
    return match[1].split(", ") if match else []


def said(name: str, places: set[tuple[int, str]]) -> list[str]:
    return [f"{name}:{line} {rule}" for line, rule in sorted(places)]


def table(made: dict[str, Score]) -> str:
    """For people; shown when a test fails and with `-s`."""
    rows = [
        f"{name:24} {it.bad:3} bad {it.good:3} good  recall {it.recall:.2f}  precision {it.precision:.2f}"
        + "".join(f"\n    missed {place}" for place in it.missed)
        + "".join(f"\n    false  {place}" for place in it.false)
        for name, it in sorted(made.items())
    ]
    return "\n".join(rows)
