"""Precision and recall of the `quality` check on its corpus: per rule and language a bad sample and its fixed twin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine.validation.quality_run import findings
from tests.unit.engine.validation.security_corpus import Sample, Score, samples, scores_of, table

CORPUS = Path(__file__).parents[3] / "corpus" / "quality"
EVERYWHERE = {
    "cognitive-complexity", "cyclomatic-complexity", "duplicate-code", "nesting", "too-long-file", "too-long-function",
    "too-many-parameters",
}  # fmt: skip
PYTHON_ONLY = {"maintainability", "missing-docstring", "naming"}
TABLES = {
    "c": ("c", "//", "static const int table[] = {", "};"),
    "go": ("go", "//", "package sample\nvar table = []int{", "}"),
    "java": ("java", "//", "final class Sample {\n    static final int[] TABLE = {", "    };\n}"),
    "javascript": ("js", "//", "const TABLE = [", "];"),
    "jsx": ("tsx", "//", "export const TABLE = [", "];"),
    "python": ("py", "#", "TABLE = [", "]"),
    "rust": ("rs", "//", "pub const TABLE: &[i64] = &[", "];"),
    "typescript": ("ts", "//", "export const TABLE = [", "];"),
}
"""Of each language: the end of a name, how a comment begins, and what stands before and after a table."""

LANGUAGES = {"c", "go", "java", "javascript", "jsx", "python", "rust", "typescript"}


@pytest.fixture(autouse=True)
def _no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def long_files() -> Iterator[Sample]:
    """Files of numbers, one with more lines than a file may have and one with fewer."""
    for language, (name, comment, before, after) in TABLES.items():
        for bad in (True, False):
            head = f"{comment} expect: too-long-file\n" if bad else ""
            rows = "".join(f"    {number * 37},\n" for number in range(1000 if bad else 900))
            made = f"too-long-file/{language}/{'bad' if bad else 'good'}.{name}"
            yield Sample("too-long-file", made, bad, f"{head}{before}\n{rows}{after}\n")


def found(text: str, name: str) -> set[tuple[int, str]]:
    """Docstrings are only worth knowing, and count where they are the rule that is tried."""
    records, _, quality = findings({name: text})
    assert not quality.missing
    told = {"warning", "error"} | ({"info"} if name.startswith("missing-docstring/") else set())
    return {(it["line"], it["rule"]) for it in records if it["severity"] in told}


def scores() -> dict[str, Score]:
    """By rule."""
    return scores_of([*samples(CORPUS), *long_files()], found)


def test_every_rule_has_samples_in_every_language_it_is_for() -> None:
    pairs: dict[tuple[str, str], set[bool]] = defaultdict(set)
    for it in (*samples(CORPUS), *long_files()):
        rule, language, _ = it.name.split("/")
        pairs[rule, language].add(it.bad)
    there = {place for place, kinds in pairs.items() if len(kinds) == 2}
    wanted = {(rule, language) for rule in EVERYWHERE for language in LANGUAGES}
    assert there == wanted | {(rule, "python") for rule in PYTHON_ONLY}


def test_what_is_wrong_is_found_and_nothing_else() -> None:
    made = scores()
    print(table(made))  # noqa: T201 - for people, with `-s`
    assert set(made) == EVERYWHERE | PYTHON_ONLY
    for rule, score in made.items():
        assert score.hits >= 2, rule
        assert score.recall >= 0.95, table(made)
        assert score.precision >= 0.95, table(made)
