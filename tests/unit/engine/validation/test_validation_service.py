"""The service: which sandbox runs what, and how results become one report."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from engine.errors import NotFoundError
from engine.plan.settings import FindingPolicy
from engine.validation.finding import Severity
from engine.validation.service import KNOWN_CHECKS, ValidationService, check_names
from engine.validation.validator import CheckStatus
from sandbox.errors import PathRefusedError, SandboxUnavailableError
from sandbox.spec import CapturedOutput, ExecRequest, ExecResult, Verdict
from tests.unit.engine.validation.local_sandbox import MINUTE, Bench


class Ended:
    """A sandbox whose every run ends like this."""

    def __init__(self, verdict: Verdict | None, detail: str = "", stdout: bytes = b"") -> None:
        self.verdict = verdict
        self.detail = detail
        self.stdout = stdout
        self.runs = 0

    async def __call__(self, request: ExecRequest, variant: str = "", *, writable: bool = False) -> ExecResult:
        self.runs += 1
        out, err = CapturedOutput(self.stdout), CapturedOutput()
        return ExecResult(None if self.verdict else 0, self.verdict, out, err, timedelta(0), detail=self.detail)


def test_names_come_once_and_in_the_order_of_reports() -> None:
    assert check_names(["type", "syntax", "type"]) == ("syntax", "type")


async def test_an_unknown_check_is_refused_with_the_names_that_exist() -> None:
    sandbox = Ended(None)
    with pytest.raises(NotFoundError, match="no check is called 'absent'; did you mean syntax, lint, type") as caught:
        await ValidationService().check(["lint", "absent"], sandbox, None, None, MINUTE)
    assert caught.value.near == KNOWN_CHECKS
    assert sandbox.runs == 0


async def test_all_checks_of_a_step_share_one_sandbox(bench: Bench) -> None:
    bench.file("a.py", "import os\nx: int = ''\n(\n")
    bench.file("b.py", "y = '\\d'\n")
    report = await bench.service.check(["type", "lint", "syntax"], bench.run, None, None, MINUTE)
    assert len(bench.run.requests) == 1
    assert [result.check for result in report.results] == ["syntax", "lint", "type"]
    assert [finding.place for finding in report.findings] == sorted(finding.place for finding in report.findings)
    assert len({finding.fingerprint for finding in report.findings}) == len(report.findings)
    assert report.summary.startswith("syntax failed with 2 findings (a.py:3:1: syntax-error ")
    assert report.duration > timedelta(0)


async def test_a_report_is_json(bench: Bench) -> None:
    bench.file("a.py", "import os\n")
    report = await bench.service.check(["lint", "syntax"], bench.run, None, None, MINUTE)
    value = json.loads(json.dumps(report.to_json()))
    assert (value["ok"], [it["rule"] for it in value["findings"]]) == (False, ["F401"])
    assert value["checks"] == [
        {
            "check": "syntax",
            "status": "passed",
            "findings": 0,
            "note": "",
            "files": 1,
            "fails_on": "error",
            "cut": False,
        },
        {"check": "lint", "status": "failed", "findings": 1, "note": "", "files": 1, "fails_on": "info", "cut": False},
    ]


async def test_warnings_of_syntax_do_not_fail_it_but_any_finding_of_lint_does(bench: Bench) -> None:
    bench.file("a.py", "import os\nx = '\\d'\n")
    report = await bench.service.check(["syntax", "lint"], bench.run, None, None, MINUTE)
    assert {finding.severity for finding in report.findings} == {Severity.WARNING}
    assert [result.status for result in report.results] == [CheckStatus.PASSED, CheckStatus.FAILED]
    assert not report.ok


async def test_the_projects_configuration_decides_what_lint_and_type_look_for(bench: Bench) -> None:
    bench.file("a.py", "import os\n\ndef f(x):\n    return x\n")
    bench.file("pyproject.toml", '[tool.ruff]\nlint.select = ["D100"]\n[tool.mypy]\ndisallow_untyped_defs = true\n')
    report = await bench.service.check(["lint", "type"], bench.run, None, None, MINUTE)
    assert {(finding.check, finding.rule) for finding in report.findings} == {
        ("lint", "D100"),
        ("type", "no-untyped-def"),
    }


async def test_mypy_is_asked_for_what_its_configuration_lists(bench: Bench) -> None:
    bench.file("src/a.py", "x: int = ''\n")
    bench.file("old/b.py", "x: int = ''\n")
    bench.file("mypy.ini", "[mypy]\nfiles = src\n")
    report = await bench.service.check(["type"], bench.run, None, None, MINUTE)
    assert [finding.file for finding in report.findings] == ["src/a.py"]
    report = await bench.service.check(["type"], bench.run, None, ["old"], MINUTE)
    assert [finding.file for finding in report.findings] == ["old/b.py"]


async def test_two_modules_of_one_name_do_not_keep_types_from_being_checked(bench: Bench) -> None:
    bench.file("src/lib/__init__.py", "y: int = 1\n")
    bench.file("tests/a/conftest.py", "from lib import y\nz: str = y\n")
    bench.file("tests/b/conftest.py", "")
    report = await bench.service.check(["type"], bench.run, None, None, MINUTE)
    assert [(finding.rule, finding.place) for finding in report.findings] == [
        ("assignment", "tests/a/conftest.py:2:10")
    ]


async def test_a_change_that_deleted_everything_needs_no_sandbox() -> None:
    sandbox = Ended(None)
    report = await ValidationService().check(["syntax", "lint"], sandbox, [], None, MINUTE)
    assert (report.ok, sandbox.runs) == (True, 0)
    assert [result.note for result in report.results] == ["nothing to check"] * 2


async def test_changed_files_that_are_gone_are_no_fault(bench: Bench) -> None:
    bench.file("b.py", "")
    report = await bench.service.check(["syntax", "lint", "type"], bench.run, [b"a.py"], None, MINUTE)
    assert report.ok
    assert all("nothing to check" in result.note for result in report.results)


async def test_a_named_path_that_is_not_there_is_refused(bench: Bench) -> None:
    bench.file("b.py", "")
    with pytest.raises(PathRefusedError, match="src/gone: does not exist in the workspace"):
        await bench.service.check(["syntax"], bench.run, None, ["b.py", "src/gone"], MINUTE)


@pytest.mark.parametrize("verdict", [it for it in Verdict if it is not Verdict.SANDBOX_UNAVAILABLE])
async def test_a_sandbox_that_hits_a_limit_gives_errors_not_passes(verdict: Verdict) -> None:
    report = await ValidationService().check(["syntax", "lint"], Ended(verdict), None, None, MINUTE)
    assert [result.status for result in report.results] == [CheckStatus.ERROR] * 2
    assert verdict.value in report.summary


async def test_a_sandbox_that_answers_nothing_gives_errors() -> None:
    for stdout in (b"", b"all is well\n", b"\0" * 1000):
        report = await ValidationService().check(["type"], Ended(None, stdout=stdout), None, None, MINUTE)
        assert [finding.rule for finding in report.findings] == ["validator-failed"]


async def test_a_sandbox_that_was_lost_is_not_an_answer_about_the_code() -> None:
    with pytest.raises(SandboxUnavailableError, match="the engine went away"):
        await ValidationService().check(
            ["lint"], Ended(Verdict.SANDBOX_UNAVAILABLE, "the engine went away"), None, None, MINUTE
        )


async def test_no_checks_are_a_pass_without_a_sandbox() -> None:
    sandbox = Ended(None)
    report = await ValidationService().check([], sandbox, None, None, MINUTE)
    assert (report.ok, report.summary, sandbox.runs) == (True, "no checks", 0)


async def test_a_directory_that_is_skipped_otherwise_is_looked_into_when_it_is_named(bench: Bench) -> None:
    bench.file("venv/a.py", "x: int = ''\n")
    report = await bench.service.check(["syntax", "type"], bench.run, None, None, MINUTE)
    assert [result.note.partition(":")[0] for result in report.results] == ["nothing to check"] * 2
    report = await bench.service.check(["type"], bench.run, None, ["venv"], MINUTE)
    assert [finding.rule for finding in report.findings] == ["assignment"]


async def test_what_was_there_before_does_not_count_when_only_what_is_new_does(bench: Bench) -> None:
    new_only = FindingPolicy(new_only=True)

    async def before(request: ExecRequest, variant: str = "", *, writable: bool = False) -> ExecResult:
        """The same workspace as it was: one file, with one fault."""
        now = await asyncio.to_thread(swap, {bench.root / "a.py": b"print(old)\n"})
        result = await bench.run(request)
        await asyncio.to_thread(swap, now)
        return result

    def swap(files: dict[Path, bytes]) -> dict[Path, bytes]:
        there = {path: path.read_bytes() for path in bench.root.iterdir()}
        for path in there:
            path.unlink()
        for path, content in files.items():
            path.write_bytes(content)
        return there

    bench.file("a.py", "x = 1\nprint(old)\nprint(new)\n")
    report = await bench.service.check(["lint", "type"], bench.run, None, None, MINUTE, new_only, before)
    assert [(it.check, it.rule) for it in report.findings] == [("lint", "F821"), ("type", "name-defined")]
    assert [result.note for result in report.results] == ["1 finding there before"] * 2
    assert all("new" in it.message for it in report.findings)
    bench.file("a.py", "x = 1\nprint(old)\n")
    report = await bench.service.check(["lint"], bench.run, [b"a.py"], None, MINUTE, new_only, before)
    assert (report.ok, report.findings, report.results[0].note) == (True, (), "1 finding there before")
    # What was not there at all is new, and a look back that finds nothing to look at is no fault.
    bench.file("b.py", "print(old)\n")
    report = await bench.service.check(["lint"], bench.run, None, ["b.py"], MINUTE, new_only, before)
    assert [it.file for it in report.findings] == ["b.py"]


async def test_without_findings_nothing_is_looked_at_twice(bench: Bench) -> None:
    bench.file("a.py", "x = 1\n")
    before = Ended(None)
    report = await bench.service.check(["syntax"], bench.run, None, None, MINUTE, FindingPolicy(new_only=True), before)
    assert (report.ok, before.runs) == (True, 0)
