"""Runs a part of the `performance` check over its corpus and compares what it finds with what the files expect.

A group is a directory with bad samples, whose lines say what is expected of them, and their fixed twins.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.validation.programs.performance_findings import Finding
from tests.unit.engine.validation.security_corpus import Score, samples, scores_of

CORPUS = Path(__file__).parents[3] / "corpus" / "performance"

Part = Callable[[bytes, bytes], list[Finding]]


def scores(part: Part, language: str) -> dict[str, Score]:
    """For each group of a language; every finding counts, whatever its severity."""
    return scores_of(
        samples(CORPUS / language),
        lambda text, name: {(it.line, it.rule) for it in part(text.encode(), name.encode())},
    )
