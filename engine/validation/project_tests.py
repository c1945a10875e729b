"""The `test` check: the project's own tests, with the runners that its files ask for.

Tests may write beside the code they test, so they get a view that they can change, and what they leave is thrown
away. A runner's exit code decides; pytest's report tells which tests failed, and where. `programs/project_tests.py`
runs them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.validation import answer
from engine.validation.finding import Finding, Severity, bounded
from engine.validation.junit import JUnitError, read_report
from engine.validation.program import ended, invocation, read_records
from engine.validation.programs.running import MAX_TAIL_BYTES
from engine.validation.validator import NOTHING_TO_CHECK, CheckResult, CheckStatus, ToolOutput, ToolOutputError

_SCRIPT: Final = f"where=$PATH:$tools python=$(tool python3) || exit 127\n{invocation('project_tests')}"
_NO_TESTS_FOUND: Final = 5
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{4,}")
_RUNNERS: Final = frozenset({"pytest", "npm", "go", "cargo"})


class ProjectTestsCheck:
    """Runs tests; see `engine.validation.validator.Check`."""

    name: Final = "test"
    python_only: Final = False
    runs_project_code: Final = True
    writes: Final = True
    variant: Final = ""
    programs: Final = ("looking", "project_tests", "running")

    def time_limit_seconds(self) -> int:
        return 1800

    def script(self) -> str:
        return _SCRIPT

    def parse(self, output: ToolOutput) -> CheckResult:
        records = read_records(output)
        runs = [record for record in records[:-1] if "runner" in record]
        if not runs:
            return CheckResult(self.name, CheckStatus.PASSED, note=f"{NOTHING_TO_CHECK}: no tests", files=0)
        findings: list[Finding] = []
        notes: list[str] = []
        missing = False
        for run in runs:
            runner = answer.text(run, "runner")
            if runner not in _RUNNERS:
                raise ToolOutputError("its output has an unknown runner")
            if run.get("exit") is None:
                missing = True
                what = f"the image has no {runner}, which the project's tests need"
                findings.append(self._finding("tool-missing", what, category="tool"))
                notes.append(what)
            else:
                found, note = self._read(runner, answer.whole(run, "exit"), run)
                findings += found
                notes += note
        status = CheckStatus.ERROR if missing else CheckStatus.FAILED if findings else CheckStatus.PASSED
        return CheckResult(self.name, status, tuple(findings), "; ".join(notes), answer.whole(records[-1], "files"))

    def _read(self, runner: str, code: int, run: Mapping[str, Any]) -> tuple[Sequence[Finding], Sequence[str]]:
        """What a run says: failed tests, and a sentence."""
        if runner == "pytest" and code == _NO_TESTS_FOUND:
            return (), (f"{NOTHING_TO_CHECK}: pytest found no tests",)
        totals = _totals(run)
        notes = [] if totals is None else [_told(totals)]
        if code == 0:
            if totals is not None and totals["failed"]:
                notes.append("pytest ended with 0 although its report has failures")
            return (), notes
        failed = [self._failed(case) for case in totals["failed"]] if totals is not None else []
        if failed:
            return failed, notes
        what = ended(runner, code, answer.text(run, "tail", limit=MAX_TAIL_BYTES))
        return [self._finding("tests-failed", what)], notes

    def _failed(self, case: Mapping[str, Any]) -> Finding:
        """A failed test. Addresses are left out, so that the same failure has the same fingerprint."""
        name = ".".join(part for part in (case["classname"], case["name"]) if part)
        first = case["message"].partition("\n")[0]
        message = _ADDRESS.sub("0x...", f"{name}: {first}" if first else name)
        file = case["file"] if case["file"] and "\0" not in case["file"] else ""
        rule = "test-failed" if case["outcome"] == "failure" else "test-error"
        return self._finding(rule, message, file=file, line=_line(case) if file else 0)

    def _finding(self, rule: str, message: str, category: str = "test", file: str = "", line: int = 0) -> Finding:
        return Finding(rule, Severity.ERROR, bounded(message), self.name, category, file=file, line=line)


def _line(case: Mapping[str, Any]) -> int:
    """Where in the test's file it failed, as its traceback says, else where the test begins (which counts from 0)."""
    deepest = re.findall(rf"^{re.escape(case['file'])}:(\d{{1,9}}): ", case["message"], re.MULTILINE)
    return int(deepest[-1]) if deepest else int(case["line"]) + 1


def _totals(run: Mapping[str, Any]) -> dict[str, Any] | None:
    """The totals of its report; None when there is none that can be read."""
    if run.get("junit") is None:
        return None
    try:
        return read_report(answer.text(run, "junit", limit=1 << 24).encode("utf-8", "replace"))
    except JUnitError:
        return None


def _told(totals: Mapping[str, Any]) -> str:
    kinds = (("passed", "passed"), ("failures", "failed"), ("errors", "had errors"), ("skipped", "were skipped"))
    return f"of {totals['tests']} tests " + ", ".join(f"{totals[key]} {word}" for key, word in kinds if totals[key])
