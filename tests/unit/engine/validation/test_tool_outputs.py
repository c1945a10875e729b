"""Recorded outputs of the real tools, and what each means."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from engine.validation.finding import Applicability, Edit, Fix, Severity
from engine.validation.lint import LintCheck
from engine.validation.syntax import SyntaxCheck
from engine.validation.type import TypeCheck
from engine.validation.validator import MAX_FINDINGS, Check, CheckResult, CheckStatus, ToolOutput, judge

UNUSED: dict[str, Any] = {
    "cell": None,
    "code": "F401",
    "end_location": {"column": 10, "row": 1},
    "filename": "/workspace/pkg/a.py",
    "fix": {
        "applicability": "safe",
        "edits": [{"content": "", "end_location": {"column": 1, "row": 2}, "location": {"column": 1, "row": 1}}],
        "message": "Remove unused import: `os`",
    },
    "location": {"column": 8, "row": 1},
    "message": "`os` imported but unused",
    "name": "unused-import",
    "noqa_row": 1,
    "severity": "error",
    "url": "https://docs.astral.sh/ruff/rules/unused-import",
}
BROKEN: dict[str, Any] = UNUSED | {
    "code": "invalid-syntax",
    "fix": None,
    "url": None,
    "message": "Expected a parameter",
}

RETURN_VALUE = (
    b'{"file": "t.py", "line": 2, "column": 11, "end_line": 2, "end_column": 12, "message": "Incompatible return '
    b'value type (got \\"int\\", expected \\"str\\")", "hint": null, "code": "return-value", "severity": "error"}\n'
)
REVEALED = (
    b'{"file": "t.py", "line": 5, "column": 12, "end_line": 5, "end_column": 16, "message": "Revealed type is '
    b'\\"str\\"", "hint": null, "code": "misc", "severity": "note"}\n'
)
DUPLICATE = (
    b'{"file": "b/test_x.py", "line": -1, "column": -1, "end_line": -1, "end_column": 0, "message": "Duplicate module '
    b'named \\"test_x\\" (also at \\"./a/test_x.py\\")", "hint": "See https://mypy.readthedocs.io", "code": null, '
    b'"severity": "error"}\n'
)
SYNTAX = (
    b'{"file": "p/b.py", "line": 1, "column": 7, "end_line": 1, "end_column": 8, "message": "Expected a parameter", '
    b'"hint": null, "code": "syntax", "severity": "error"}\n'
)
NOT_FOUND = (
    b'{"file": "main.py", "line": 4, "column": 0, "end_line": 4, "end_column": 1, "message": "Cannot find '
    b'implementation or library stub for module named \\"nosuch\\"", "hint": "See '
    b'https://mypy.readthedocs.io/en/stable/running_mypy.html#missing-imports", "code": "import-not-found", '
    b'"severity": "error"}\n'
)
FINISHED = b'{"analysed": 3}\n'
ALL_COMPILED = b'{"done": true, "files": 3, "left_out": 0, "others_left_out": 0, "notes": [], "part": "all"}\n'
BAD_ESCAPE = (
    b'{"rule": "syntax-warning", "severity": "warning", "message": "invalid escape", "file": "a.py", "line": 3}\n'
)
BAD_SYNTAX = (
    b'{"rule": "syntax-error", "severity": "error", "message": "invalid syntax", "file": "a.py", "line": 2, '
    b'"column": 7, "end_line": 2, "end_column": 8}\n'
)


def said(check: Check, exit_code: int | None, stdout: bytes = b"", stderr: bytes = b"", files: int = 3) -> CheckResult:
    return judge(check, ToolOutput(exit_code, stdout, stderr, files, "/workspace"))


NO_SCRIPTS = ALL_COMPILED.replace(b'"files": 3', b'"files": 0').replace(b"}", b', "analysed": 0, "refused": ""}')


def ruff(status: int, *records: object) -> CheckResult:
    return said_by_ruff(status, json.dumps(records).encode())


def said_by_ruff(status: int, stdout: bytes, analysed: int = 3) -> CheckResult:
    end = b'\n{"ruff": %d, "analysed": %d}\n' % (status, analysed)
    return said(LintCheck(), 0, stdout + end + NO_SCRIPTS)


def test_a_lint_finding_keeps_its_place_link_and_fix() -> None:
    result = ruff(1, UNUSED)
    (finding,) = result.findings
    assert result.status is CheckStatus.FAILED
    assert (finding.rule, finding.file, finding.place, finding.severity) == (
        "F401",
        "pkg/a.py",
        "pkg/a.py:1:8",
        Severity.WARNING,
    )
    assert finding.help_url == "https://docs.astral.sh/ruff/rules/unused-import"
    assert finding.fix == Fix((Edit(1, 1, 2, 1, ""),), Applicability.SAFE, "Remove unused import: `os`")


def test_code_that_cannot_work_is_an_error_for_lint() -> None:
    findings = ruff(1, BROKEN, UNUSED | {"code": "F821"}, UNUSED | {"code": None}, UNUSED | {"code": "E902"}).findings
    assert {finding.severity for finding in findings} == {Severity.ERROR}
    assert [finding.category for finding in findings] == ["syntax", "lint", "syntax", "lint"]


def test_a_fix_that_is_too_long_to_keep_is_left_out_whole() -> None:
    long = {"content": "x" * 5000, "end_location": {"column": 1, "row": 2}, "location": {"column": 1, "row": 1}}
    fix = UNUSED["fix"] | {"edits": [*UNUSED["fix"]["edits"], long]}
    assert ruff(1, UNUSED | {"fix": fix}).findings[0].fix is None


@pytest.mark.parametrize(
    ("status", "stdout", "analysed"),
    [
        (0, b"", 3),
        (0, b"[", 3),
        (0, b"{}", 3),
        (0, b"[]", 0),
        (0, b'[]\n{"ruff": 0, "analysed": 3}\n', 3),
        (1, b"[]", 3),
        (0, json.dumps([UNUSED]).encode(), 3),
        (1, b"[{}]", 3),
        (1, json.dumps([UNUSED | {"filename": ""}]).encode(), 3),
        (1, json.dumps([UNUSED | {"location": {"row": "1", "column": 1}}]).encode(), 3),
        (1, json.dumps([UNUSED | {"location": {"row": True, "column": 1}}]).encode(), 3),
        (1, json.dumps([UNUSED | {"fix": {"applicability": "sure", "edits": [], "message": ""}}]).encode(), 3),
        (1, b"[" * 100_000, 3),
        (1, b"[" + b"1" * 5000 + b"]", 3),
        (1, b"\xff", 3),
    ],
)
def test_what_ruff_does_not_say_when_it_has_done_its_work_is_an_error(
    status: int, stdout: bytes, analysed: int
) -> None:
    result = said_by_ruff(status, stdout, analysed)
    assert (result.status, [finding.rule for finding in result.findings]) == (CheckStatus.ERROR, ["validator-failed"])


@pytest.mark.parametrize("exit_code", [1, 2, -9, 153])
@pytest.mark.parametrize("stdout", [b"", b"[]", b'[]\n{"ruff": 0, "analysed": 3}\n'])
def test_a_linter_that_ends_half_way_is_an_error(exit_code: int, stdout: bytes) -> None:
    result = said(LintCheck(), exit_code, stdout)
    assert (result.status, [finding.rule for finding in result.findings]) == (CheckStatus.ERROR, ["validator-failed"])


def test_an_error_ends_with_what_the_tool_said_last() -> None:
    result = said(LintCheck(), 2, b"", b"ruff failed\n  Cause: unknown field `foo`\n")
    assert result.findings[0].message.endswith("(exit code 2)\nruff failed\n  Cause: unknown field `foo`")
    assert result.note == "the lint check gave no answer: ruff refused its configuration or crashed (exit code 2)"


def test_type_findings_count_columns_from_one_and_notes_do_not_fail() -> None:
    result = said(TypeCheck(), 1, NO_SCRIPTS + RETURN_VALUE + REVEALED + FINISHED)
    assert (result.status, result.files) == (CheckStatus.FAILED, 3)
    error, note = result.findings
    assert (error.place, error.end_column, error.rule, error.severity) == (
        "t.py:2:12",
        13,
        "return-value",
        Severity.ERROR,
    )
    assert note.severity is Severity.INFO
    assert said(TypeCheck(), 0, NO_SCRIPTS + REVEALED + FINISHED).status is CheckStatus.PASSED


def test_a_hint_goes_with_its_type_finding() -> None:
    (finding,) = said(TypeCheck(), 1, NO_SCRIPTS + NOT_FOUND + FINISHED).findings
    assert finding.message.endswith("running_mypy.html#missing-imports")
    assert finding.column == 1


def test_a_syntax_error_that_stops_mypy_is_a_finding() -> None:
    result = said(TypeCheck(), 2, NO_SCRIPTS + SYNTAX)
    assert (result.status, [finding.rule for finding in result.findings]) == (CheckStatus.FAILED, ["syntax"])


def test_what_mypy_says_about_its_configuration_is_the_note() -> None:
    result = said(
        TypeCheck(), 0, NO_SCRIPTS + b"\n" + FINISHED, b"pyproject.toml: [mypy]: Unrecognized option: foo = 1\n"
    )
    assert result.status is CheckStatus.PASSED
    assert result.note == "pyproject.toml: [mypy]: Unrecognized option: foo = 1"


@pytest.mark.parametrize(
    ("exit_code", "stdout", "stderr"),
    [
        (0, b"", b""),
        (0, RETURN_VALUE + FINISHED, b""),
        (1, b"", b""),
        (1, REVEALED + FINISHED, b""),
        (1, RETURN_VALUE, b""),
        (1, b"Traceback (most recent call last):\n" + RETURN_VALUE + FINISHED, b""),
        (1, RETURN_VALUE.replace(b'"error"', b'"fatal"') + FINISHED, b""),
        (2, DUPLICATE, b""),
        (2, SYNTAX + DUPLICATE, b""),
        (2, b"", b"There are no .py[i] files in directory '.'\n"),
        (2, b"", b"mypy: error: INTERNAL ERROR\n"),
        (3, FINISHED, b""),
        (0, b'{"analysed": "3"}\n', b""),
        (139, b"", b""),
    ],
)
def test_what_mypy_does_not_say_when_it_has_done_its_work_is_an_error(
    exit_code: int, stdout: bytes, stderr: bytes
) -> None:
    result = said(TypeCheck(), exit_code, NO_SCRIPTS + stdout, stderr)
    assert (result.status, [finding.rule for finding in result.findings]) == (CheckStatus.ERROR, ["validator-failed"])


def test_syntax_warnings_do_not_fail_and_errors_do() -> None:
    assert said(SyntaxCheck(), 0, ALL_COMPILED).status is CheckStatus.PASSED
    warned = said(SyntaxCheck(), 0, BAD_ESCAPE + ALL_COMPILED)
    assert (warned.status, len(warned.findings)) == (CheckStatus.PASSED, 1)
    failed = said(SyntaxCheck(), 0, BAD_SYNTAX + ALL_COMPILED)
    assert (failed.status, failed.findings[0].place, failed.findings[0].end_column) == (
        CheckStatus.FAILED,
        "a.py:2:7",
        8,
    )


def test_findings_that_were_left_out_still_fail_the_syntax_check() -> None:
    result = said(SyntaxCheck(), 0, ALL_COMPILED.replace(b'"left_out": 0', b'"left_out": 7'))
    assert (result.status, result.note) == (CheckStatus.FAILED, "7 more findings are left out")


@pytest.mark.parametrize(
    ("exit_code", "stdout"),
    [
        (0, b""),
        (0, BAD_SYNTAX),
        (0, ALL_COMPILED + BAD_ESCAPE),
        (0, ALL_COMPILED.replace(b'"files": 3', b'"files": 0')),
        (0, ALL_COMPILED.replace(b"true", b"1")),
        (0, BAD_SYNTAX.replace(b'"error"', b'"fatal"') + ALL_COMPILED),
        (139, BAD_SYNTAX),
        (1, ALL_COMPILED),
    ],
)
def test_half_an_answer_about_syntax_is_an_error(exit_code: int, stdout: bytes) -> None:
    result = said(SyntaxCheck(), exit_code, stdout, b"deep/nest.py")
    assert (result.status, [finding.rule for finding in result.findings]) == (CheckStatus.ERROR, ["validator-failed"])
    assert "deep/nest.py" in result.findings[0].message


@pytest.mark.parametrize("check", [SyntaxCheck(), LintCheck(), TypeCheck()])
def test_endings_that_are_not_the_tools_own_are_errors_for_every_check(check: Check) -> None:
    good = ToolOutput(0, ALL_COMPILED, b"analysed=3\n", 3, "/workspace")
    rules = [
        [finding.rule for finding in judge(check, output).findings]
        for output in (replace(good, exit_code=None), replace(good, overflow=True), replace(good, exit_code=127))
    ]
    assert rules == [["validator-failed"], ["validator-failed"], ["tool-missing"]]


def test_a_flood_of_findings_is_cut_and_errors_are_kept() -> None:
    result = ruff(1, *([UNUSED] * MAX_FINDINGS), UNUSED | {"code": "F821"})
    assert len(result.findings) == MAX_FINDINGS
    assert result.findings[0].rule == "F821"
    assert result.note == "1 more findings are left out"


@pytest.mark.parametrize(
    ("path", "relative"),
    [
        ("/workspace/a.py", "a.py"),
        ("./a.py", "a.py"),
        ("a.py", "a.py"),
        ("/workspaces/a.py", "/workspaces/a.py"),
        ("/workspace", ""),
        ("./b/../a.py", "a.py"),
    ],
)
def test_paths_are_relative_to_the_workspace_when_they_are_inside(path: str, relative: str) -> None:
    assert ToolOutput(0, b"", b"", 1, "/workspace").relative(path) == relative
