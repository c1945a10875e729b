"""Reports for other programs: valid by their schemas, whatever a finding says."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.validation.finding import Applicability, Edit, Finding, Fix, Severity
from engine.validation.formats import FORMATS
from engine.validation.junit import read_report as read_junit
from engine.validation.report import ValidationReport, report_from_step, report_of
from engine.validation.validator import CheckResult, CheckStatus

SCHEMA = json.loads((Path(__file__).parents[3] / "corpus" / "schemas" / "sarif-2.1.0.json").read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

SQL = Finding(
    rule="S608",
    severity=Severity.ERROR,
    message="built from user input\nsource: line 3",
    check="security",
    category="security",
    file="src/näme #1.py",
    line=7,
    column=3,
    end_line=7,
    end_column=9,
    help_url="https://docs.astral.sh/ruff/rules/hardcoded-sql-expression",
    fix=Fix((Edit(7, 3, 7, 9, "x"),), Applicability.UNSAFE, "use parameters"),
    reference="CWE-89",
)
UNUSED = Finding("F401", Severity.WARNING, "unused", "lint", "lint", "a.py", 1, 8, 1, 10)
SILENT = Finding("validator-failed", Severity.ERROR, "it crashed", "type", "tool")


def report(*results: CheckResult) -> ValidationReport:
    return report_of(results, timedelta(seconds=1.5))


WHOLE = report(
    CheckResult("security", CheckStatus.FAILED, (SQL,), "1 more", 3),
    CheckResult("lint", CheckStatus.PASSED, (UNUSED,), files=2),
    CheckResult("type", CheckStatus.ERROR, (SILENT,), "no answer"),
    CheckResult("syntax", CheckStatus.PASSED, note="nothing to check", files=0),
)

texts = st.text(st.characters(exclude_categories=()), max_size=30) | st.sampled_from(
    [
        "::error::x",
        "a\n::set-output name=x::y",
        "]]>",
        "<b>&",
        "%0A::x",
        "\x1b[31m",
        "\x00",
        "\ud800",
        "a\u2028::error::b",
    ]
)
numbers = st.integers(0, 5)
found = st.builds(
    Finding, texts, st.sampled_from(Severity), texts, st.just("lint"), texts, st.binary(max_size=20).map(os.fsdecode),
    numbers, numbers, numbers, numbers, texts,
    st.none() | st.builds(
        Fix, st.lists(st.builds(Edit, numbers, numbers, numbers, numbers, texts), max_size=2).map(tuple),
        st.sampled_from(Applicability), texts,
    ),
    texts,
)  # fmt: skip
results = st.builds(
    CheckResult, st.just("lint"), st.sampled_from(CheckStatus), st.lists(found, max_size=4).map(tuple), texts,
    st.none() | numbers, st.sampled_from(Severity), st.booleans(),
)  # fmt: skip


def test_sarif_says_where_and_what_and_keeps_to_the_schema() -> None:
    log = json.loads(FORMATS["sarif"](WHOLE))
    VALIDATOR.validate(log)
    security, lint, types, syntax = log["runs"]
    (result,) = security["results"]
    place = result["locations"][0]["physicalLocation"]
    assert unquote_to_bytes(place["artifactLocation"]["uri"]) == "src/näme #1.py".encode()
    assert place["region"] == {"startLine": 7, "startColumn": 3, "endLine": 7, "endColumn": 9}
    assert result["partialFingerprints"] == {"sandstone/v1": WHOLE.results[0].findings[0].fingerprint}
    assert security["columnKind"] == "unicodeCodePoints"
    (rule,) = security["tool"]["driver"]["rules"]
    assert rule["properties"]["tags"] == ["security", "external/cwe/cwe-89"]
    assert result["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"] == {"text": "x"}
    assert [run["invocations"][0]["executionSuccessful"] for run in log["runs"]] == [True, True, False, True]
    assert types["invocations"][0]["toolExecutionNotifications"][0]["level"] == "error"
    assert (lint["results"][0]["level"], syntax["results"]) == ("warning", [])


def test_junit_fails_what_fails_its_check_and_nothing_else() -> None:
    root = ElementTree.fromstring(FORMATS["junit"](WHOLE))
    suites = {suite.get("name"): suite for suite in root}
    assert [(suite.get("failures"), suite.get("errors")) for suite in suites.values()] == [
        ("1", "0"), ("0", "0"), ("0", "1"), ("0", "0"),
    ]  # fmt: skip
    assert suites["security"][0][0].tag == "failure"
    assert suites["lint"][0][0].tag == "system-out"
    assert suites["type"][0][0].tag == "error"
    assert suites["syntax"][0][0].text == "nothing to check"


def test_a_check_that_fails_by_what_was_left_out_fails_in_junit_too() -> None:
    for findings in ((), (UNUSED,)):
        told = report(CheckResult("lint", CheckStatus.FAILED, findings, "9 more findings are left out", cut=True))
        counts = read_junit(FORMATS["junit"](told).encode())
        assert counts is not None
        assert (counts["failures"], counts["tests"]) == (1, 1 + len(findings))


def test_github_gets_a_command_for_each_finding() -> None:
    lines = FORMATS["github"](WHOLE).split("\n")
    assert "::warning file=a.py,line=1,col=8,endLine=1,endColumn=10,title=lint%3A F401::unused" in lines
    assert (
        "::error file=src/näme #1.py,line=7,col=3,endLine=7,endColumn=9,title=security%3A S608"
        "::built from user input%0Asource: line 3" in lines
    )
    assert "::error title=type%3A validator-failed::it crashed" in lines
    assert lines[-1].startswith("sandstone validate failed: 2 error, 1 warning, 0 info")


@given(st.lists(results, max_size=2))
def test_every_report_is_valid_sarif(told: list[CheckResult]) -> None:
    text = FORMATS["sarif"](report(*told))
    assert text.isascii()
    VALIDATOR.validate(json.loads(text))


@given(st.lists(results, max_size=2))
def test_every_report_is_junit_that_counts_what_it_holds(told: list[CheckResult]) -> None:
    made = report(*told)
    root = ElementTree.fromstring(FORMATS["junit"](made).encode())
    for suite, result in zip(root, made.results, strict=True):
        tags = [child.tag for case in suite for child in case]
        assert int(suite.get("tests", "")) == len(suite)
        assert int(suite.get("failures", "")) == tags.count("failure")
        assert int(suite.get("errors", "")) == tags.count("error")
        passed = not tags.count("failure") and not tags.count("error")
        grave = result.status is not CheckStatus.PASSED or any(tag in ("failure", "error") for tag in tags)
        assert passed is not grave


@given(st.lists(results, max_size=2))
def test_no_text_of_a_finding_begins_a_command(told: list[CheckResult]) -> None:
    made = report(*told)
    lines = FORMATS["github"](made).splitlines()
    silent = sum(result.status is CheckStatus.ERROR and not result.findings for result in made.results)
    assert len(lines) == len(made.findings) + silent + 1
    commands = [line for line in lines if line.startswith("::")]
    assert len(commands) == len(made.findings) + silent
    assert all(re.fullmatch(r"::(error|warning|notice) [^:]*::.*", line, re.DOTALL) for line in commands)


@given(st.lists(results, max_size=2, unique_by=lambda result: result.check))
def test_a_report_comes_back_from_what_a_step_keeps(told: list[CheckResult]) -> None:
    made = report(*told)
    kept = json.loads(json.dumps(made.to_json()))
    again = report_from_step(kept["findings"], kept)
    assert (again.results, again.findings, again.ok) == (made.results, made.findings, made.ok)


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_report_has_a_form_too(form: str) -> None:
    assert FORMATS[form](report())
