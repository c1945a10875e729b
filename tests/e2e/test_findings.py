"""Which findings count when a plan runs: what was there before, what the plan ignores, and what every check said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.validation.cache import AS_BEFORE
from tests.e2e.command_bench import CommandBench, command_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(180)]

HEAD = "version: 1\nsandbox: {disk: 32MiB, memory: 256MiB, timeout: 60s}\n"
OLD = "import os\n\nVALUE = undefined_name\n"


@pytest.fixture(scope="module")
def bench() -> Iterator[CommandBench]:
    with command_bench() as made:
        (made.project / "old.py").write_text(OLD)
        (made.project / "tests").mkdir()
        (made.project / "tests" / "test_a.py").write_text("import sys\n")
        yield made


def found(step: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["file"], finding["rule"]) for finding in step["findings"]]


def said(bench: CommandBench, outcome: Any) -> list[dict[str, Any]]:
    """Of every report of checks: its step and its data."""
    events = bench.events(outcome["execution_id"])
    return [{"step": it["step_id"], **it["data"]} for it in events if it["kind"] == "validation-completed"]


def test_what_the_project_had_before_does_not_fail_a_validation_step_of_what_is_new(bench: CommandBench) -> None:
    steps = (
        "steps:\n  - {type: file_edit, path: old.py, insert: {text: '# moved', line: 1}}\n"
        "  - {id: look, type: validation, checks: [lint], paths: [old.py], findings: {new_only: %s}}\n"
    )
    outcome = bench.run(HEAD + steps % "true")
    assert [step["state"] for step in outcome["steps"]] == ["succeeded", "succeeded"]
    assert said(bench, outcome)[0]["checks"][0]["note"].endswith("2 findings there before")
    everything = bench.run(HEAD + steps % "false", expect=1)
    assert found(everything["steps"][1]) == [("old.py", "F401"), ("old.py", "F821")]


def test_a_step_that_brings_a_new_fault_is_rolled_back_and_one_that_keeps_the_old_is_not(bench: CommandBench) -> None:
    plan = (
        HEAD + "checks: [syntax, lint]\nfindings: {new_only: true}\non_failure: continue\nsteps:\n"
        "  - {id: keeps, type: file_edit, path: old.py, insert: {text: '# a remark', line: 1}}\n"
        "  - {id: brings, type: file_edit, path: old.py, insert: {text: 'OTHER = nowhere', line: 5}}\n"
        "  - {id: twice, type: file_edit, path: old.py, insert: {text: 'VALUE = undefined_name', line: 5}}\n"
    )
    outcome = bench.run(plan, expect=1)
    keeps, brings, twice = outcome["steps"]
    assert (keeps["state"], keeps["findings"]) == ("succeeded", [])
    assert (brings["state"], found(brings)) == ("failed", [("old.py", "F821")])
    assert "nowhere" in brings["findings"][0]["message"]
    assert (twice["state"], found(twice)) == ("failed", [("old.py", "F821")])
    changed = bench("diff", outcome["execution_id"]).stdout
    assert "+# a remark" in changed
    assert "nowhere" not in changed
    assert changed.count("undefined_name") <= 1


def test_every_check_says_in_an_event_what_it_made_of_a_step(bench: CommandBench) -> None:
    plan = (
        HEAD + "on_failure: continue\nsteps:\n"
        "  - {id: look, type: validation, checks: [syntax, lint], paths: [old.py]}\n"
        "  - {id: none, type: command, run: 'true'}\n"
        '  - {id: made, type: file_create, path: new.py, content: "X = 1\\n", checks: [syntax]}\n'
    )
    outcome = bench.run(plan, expect=1)
    look, made = said(bench, outcome)
    assert (look["step"], look["ok"], look["findings"]) == ("look", False, 2)
    assert [(it["check"], it["status"], it["findings"]) for it in look["checks"]] == [
        ("syntax", "passed", 0),
        ("lint", "failed", 2),
    ]
    assert (made["step"], made["ok"], made["findings"]) == ("made", True, 0)
    assert made["checks"][0]["files"] == 1
    assert look["duration_ms"] > 0


def test_what_the_plan_ignores_and_what_a_step_says_of_its_own(bench: CommandBench) -> None:
    plan = (
        HEAD + "findings: {ignore: [{rules: [F401], paths: ['tests/**']}]}\non_failure: continue\nsteps:\n"
        "  - {id: as_the_plan, type: validation, checks: [lint]}\n"
        "  - {id: own, type: validation, checks: [lint], findings: {ignore: [{rules: ['F*']}]}}\n"
        "  - {id: over_it, type: validation, checks: [type], paths: [tests], findings: {fail_on: info}}\n"
    )
    outcome = bench.run(plan, expect=1)
    as_the_plan, own, over_it = outcome["steps"]
    assert found(as_the_plan) == [("old.py", "F401"), ("old.py", "F821")]
    assert (own["state"], own["findings"]) == ("succeeded", [])
    assert over_it["state"] == "succeeded"


def test_the_lowest_severity_that_fails_is_as_the_plan_says(bench: CommandBench) -> None:
    """Every finding of `lint` fails it; those of severity warning do not when the plan asks for errors only."""
    (bench.project / "long.py").write_text("import json\n")
    try:
        strict = bench.run(HEAD + "steps: [{type: validation, checks: [lint], paths: [long.py]}]\n", expect=1)
        severity = strict["steps"][0]["findings"][0]["severity"]
        plan = "steps: [{type: validation, checks: [lint], paths: [long.py], findings: {fail_on: error}}]\n"
        lenient = bench.run(HEAD + plan, expect=None)
        assert severity == "warning"
        assert (lenient["steps"][0]["state"], found(lenient["steps"][0])) == ("succeeded", [("long.py", "F401")])
    finally:
        (bench.project / "long.py").unlink()


def test_what_was_checked_once_is_not_checked_again_until_something_changes(bench: CommandBench) -> None:
    look = "  - {id: %s, type: validation, checks: [lint], paths: [old.py]}\n"
    edit = "  - {id: edit, type: file_create, path: kept.txt, content: other}\n"
    plan = HEAD + "on_failure: continue\nsteps:\n" + look % "first" + look % "again" + edit + look % "changed"
    outcome = bench.run(plan, expect=1)
    notes = {report["step"]: AS_BEFORE in report["checks"][0]["note"] for report in said(bench, outcome)}
    assert notes["again"]
    assert not notes["changed"]
    steps = {step["id"]: step for step in outcome["steps"]}
    assert found(steps["again"]) == found(steps["first"]) == [("old.py", "F401"), ("old.py", "F821")]
    other = bench.run(plan, expect=1)
    assert [AS_BEFORE in report["checks"][0]["note"] for report in said(bench, other)] == [True, True, True]


def test_an_edit_that_breaks_the_projects_tests_is_rolled_back_and_what_tests_write_is_gone(
    bench: CommandBench,
) -> None:
    plan = (
        HEAD + "checks: [test]\non_failure: continue\nsteps:\n"
        "  - {id: code, type: file_create, path: own/calc.py, content: 'ONE = 1'}\n"
        "  - {id: good, type: file_create, path: own/test_calc.py, content: %s}\n"
        "  - {id: bad, type: file_edit, path: own/calc.py, content: 'ONE = 2'}\n"
        "  - {id: look, type: command, run: 'grep -q 1 own/calc.py && ! test -e own/left', checks: []}\n"
    )
    test = "import calc\\n\\ndef test_one():\\n    open('own/left', 'w')\\n    assert calc.ONE == 1\\n"
    outcome = bench.run(plan % f'"{test}"', expect=1)
    steps = {step["id"]: step for step in outcome["steps"]}
    assert [steps[name]["state"] for name in ("code", "good", "bad", "look")] == [
        "succeeded", "succeeded", "failed", "succeeded",
    ]  # fmt: skip
    assert found(steps["bad"]) == [("own/test_calc.py", "test-failed")]
    assert "2 == 1" in steps["bad"]["findings"][0]["message"]
