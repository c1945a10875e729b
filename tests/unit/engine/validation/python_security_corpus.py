"""Runs the Python half of the `security` check over its corpus and compares what it finds with what files expect.

A sample is a directory with `bad.py` and `good.py`, or with trees `bad/` and `good/` that are judged as projects.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from engine.validation.programs.looking import Report
from engine.validation.programs.security_python import PythonFiles

CORPUS = Path(__file__).parents[3] / "corpus" / "security" / "python"

EXPECTED = re.compile(r"# expect: ([\w-]+(?:, [\w-]+)*)")


def findings(files: dict[str, str]) -> list[dict[str, Any]]:
    """What is reported of a project."""
    out = StringIO()
    with redirect_stdout(out):
        report, python = Report(), PythonFiles()
        for name, text in files.items():
            python.add(text.encode(), name.encode(), report)
        python.judge(report)
    return [json.loads(line) for line in out.getvalue().splitlines()]


@dataclass
class Score:
    """One group: its samples, and the lines where findings and expectations agree and differ."""

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


def scores() -> dict[str, Score]:
    made: dict[str, Score] = defaultdict(Score)
    for sample in sorted(CORPUS.glob("*/*")):
        score = made[sample.parent.name]
        for kind in ("bad", "good"):
            files = sources(sample, kind)
            wanted = {it for name, text in files.items() for it in expectations(name, text)}
            found = {(it["file"], it["line"], it["rule"]) for it in findings(files)}
            assert files, f"{sample}: there is no {kind} sample"
            assert bool(wanted) == (kind == "bad"), f"{sample}: a bad sample expects something, a good one nothing"
            score.bad += kind == "bad"
            score.good += kind == "good"
            score.hits += len(wanted & found)
            score.missed += said(sample, wanted - found)
            score.false += said(sample, found - wanted)
    return dict(made)


def sources(sample: Path, kind: str) -> dict[str, str]:
    """The files of one twin, by their names in its project."""
    if (sample / kind).is_dir():
        paths = sorted((sample / kind).rglob("*.py"))
        return {str(path.relative_to(sample / kind)): path.read_text() for path in paths}
    return {f"{kind}.py": (sample / f"{kind}.py").read_text()}


def expectations(name: str, text: str) -> set[tuple[str, int, str]]:
    found = set()
    for number, line in enumerate(text.split("\n"), 1):
        match = EXPECTED.search(line)
        found |= {(name, number, rule) for rule in (match[1].split(", ") if match else ())}
    return found


def said(sample: Path, places: set[tuple[str, int, str]]) -> list[str]:
    return [f"{sample.relative_to(CORPUS)}/{name}:{line} {rule}" for name, line, rule in sorted(places)]


def table(made: dict[str, Score]) -> str:
    """For people; shown when a test fails and with `-s`."""
    rows = [
        f"{name:24} {it.bad:3} bad {it.good:3} good  recall {it.recall:.2f}  precision {it.precision:.2f}"
        + "".join(f"\n    missed {place}" for place in it.missed)
        + "".join(f"\n    false  {place}" for place in it.false)
        for name, it in sorted(made.items())
    ]
    return "\n".join(rows)
