"""Precision and recall of the `quality` check on its corpus: per rule and language a bad sample and its fixed twin."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.unit.engine.validation.quality_run import findings
from tests.unit.engine.validation.security_corpus import Score, files, rules, said, table

CORPUS = Path(__file__).parents[3] / "corpus" / "quality"
EVERYWHERE = {
    "cognitive-complexity", "cyclomatic-complexity", "duplicate-code", "nesting", "too-long-file", "too-long-function",
    "too-many-parameters",
}  # fmt: skip
PYTHON_ONLY = {"maintainability", "missing-docstring", "naming"}
LANGUAGES = {"c", "go", "java", "javascript", "jsx", "python", "rust", "typescript"}


@pytest.fixture(autouse=True)
def _no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scores() -> dict[str, Score]:
    """By rule."""
    made: dict[str, Score] = defaultdict(Score)
    for path, name in files(CORPUS):
        rule = path.relative_to(CORPUS).parts[0]
        bad = path.name.startswith("bad")
        made[rule].bad += bad
        made[rule].good += not bad
        text = path.read_text()
        wanted = {(number, it) for number, line in enumerate(text.split("\n"), 1) for it in rules(line)}
        assert bool(wanted) == bad, f"{name}: a bad file expects something, a good one nothing"
        counts = {"warning", "error"} | ({"info"} if rule == "missing-docstring" else set())
        records, _, quality = findings({name: text})
        assert not quality.missing
        found = {(it["line"], it["rule"]) for it in records if it["severity"] in counts}
        if rule == "maintainability":
            wanted = {it for it in wanted if it[1] != "missing-docstring"}
        made[rule].hits += len(wanted & found)
        made[rule].missed += said(name, wanted - found)
        made[rule].false += said(name, found - wanted)
    return dict(made)


def test_every_rule_has_samples_in_every_language_it_is_for() -> None:
    there = {(it.parent.name, it.name) for it in CORPUS.glob("*/*") if list(it.glob("bad*")) and list(it.glob("good*"))}
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
