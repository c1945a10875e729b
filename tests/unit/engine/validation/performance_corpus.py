"""Runs a part of the `performance` check over its corpus and compares what it finds with what the files expect.

A group is a directory with bad samples, whose lines say what is expected of them, and their fixed twins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from engine.validation.programs.performance_findings import Finding
from tests.unit.engine.validation.security_corpus import Score, files, rules, said

CORPUS = Path(__file__).parents[3] / "corpus" / "performance"

Part = Callable[[bytes, bytes], list[Finding]]


def scores(part: Part, language: str) -> dict[str, Score]:
    """For each group of a language; every finding counts, whatever its severity."""
    made: dict[str, Score] = defaultdict(Score)
    for path, name in files(CORPUS / language):
        score = made[path.relative_to(CORPUS / language).parts[0]]
        bad = path.name.startswith("bad")
        text = path.read_text()
        wanted = {(number, rule) for number, line in enumerate(text.split("\n"), 1) for rule in rules(line)}
        found = {(it.line, it.rule) for it in part(text.encode(), name.encode())}
        assert bool(wanted) == bad, f"{name}: a bad file expects something, a good one nothing"
        score.bad += bad
        score.good += not bad
        score.hits += len(wanted & found)
        score.missed += said(name, wanted - found)
        score.false += said(name, found - wanted)
    return dict(made)
