"""Findings as people read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from engine.cli.findings import findings_text
from engine.cli.output import Output
from engine.validation.finding import Applicability, Finding, Fix, Severity
from engine.validation.report import report_of
from engine.validation.validator import CheckResult, CheckStatus

FILES = {"a.py": ["import os", "\tx = näme + 1", "y" * 1000 + "WRONG" + "z" * 1000]}


def shown(*found: Finding, status: CheckStatus = CheckStatus.FAILED, note: str = "", color: str = "never") -> list[str]:
    report = report_of([CheckResult("lint", status, found, note, 1)], timedelta(0))
    return list(findings_text(report, FILES.get, Output(color)))


def at(line: int, column: int, end_column: int = 0, **more: object) -> Finding:
    return Finding(
        "F821", Severity.ERROR, "undefined", "lint", "lint", "a.py", line, column, line if end_column else 0,
        end_column, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_the_line_is_shown_with_a_mark_below_what_is_meant() -> None:
    assert shown(at(2, 6, 10)) == [
        "a.py",
        "  2:6      error  undefined  F821",
        "           | x = näme + 1",
        "           |     ^^^^",
        "",
        "lint           failed  1 file",
        "failed: 1 error, 0 warnings, 0 info",
    ]


def test_a_long_line_is_shown_around_the_place() -> None:
    lines = shown(at(3, 1001, 1006))
    code = next(line for line in lines if "WRONG" in line)
    mark = lines[lines.index(code) + 1]
    assert len(code) < 200
    assert code[mark.index("^") : mark.rindex("^") + 1] == "WRONG"


def test_a_fix_a_reference_and_a_note_are_told() -> None:
    lines = shown(at(1, 1, reference="CWE-89", fix=Fix((), Applicability.SAFE, "remove it")), note="2 more")
    assert "  1:1      error  undefined  F821 CWE-89" in lines
    assert "           fix: remove it" in lines
    assert lines[-2:] == ["lint           failed  1 file; 2 more", "failed: 1 error, 0 warnings, 0 info; 1 with a fix"]


def test_what_is_about_no_file_or_no_line_is_told_without_code() -> None:
    lines = shown(
        Finding("validator-failed", Severity.ERROR, "it crashed\nTraceback", "lint", "tool"), at(99, 1), at(0, 0)
    )
    assert "  -        error  it crashed  validator-failed" in lines
    assert "           Traceback" in lines
    assert not any("|" in line for line in lines)


def test_nothing_found_is_one_line_a_check() -> None:
    assert shown(status=CheckStatus.PASSED, note="nothing to check") == [
        "lint           passed  1 file; nothing to check",
        "passed: 0 errors, 0 warnings, 0 info",
    ]


hostile = st.text(max_size=20) | st.sampled_from(["\x1b[2J", "a\nb", "\u202e", "\r", "\x9b31m", "\x00"])


@given(
    hostile, hostile, hostile, st.lists(hostile, max_size=3), st.integers(0, 4), st.integers(0, 30), st.integers(0, 30)
)
def test_nothing_that_was_found_reaches_the_terminal_unescaped(
    rule: str, message: str, file: str, code: Sequence[str], line: int, column: int, end: int
) -> None:
    finding = Finding(rule, Severity.INFO, message, "lint", "lint", file, line, column, line, end, reference=rule)
    report = report_of([CheckResult("lint", CheckStatus.PASSED, (finding,), message)], timedelta(0))
    for text in findings_text(report, lambda _: code, Output("never")):
        assert text.isprintable() or not re.search("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)


def test_severities_have_their_colours() -> None:
    assert any("\x1b[31merror" in line for line in shown(at(1, 1), color="always"))
