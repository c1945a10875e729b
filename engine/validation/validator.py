"""What a check is, and how its tool's output is judged. Interfaces, records and one pure function.

A check has two halves. `script` is shell text that runs the tool inside the sandbox; `parse` turns what the tool
left into a `CheckResult`, here, without effects. Between them nothing is trusted: `judge` turns every ending
other than a readable, complete answer into a finding of severity error, so that a tool that is missing, crashed,
hung, babbled or looked at nothing never counts as a pass.

A new check is one module with one class, one row in `engine.validation.service.CHECKS`, and its name in
`engine.plan.rules.AVAILABLE_CHECKS`; `tests/conformance/validator_suite.py` says what it must keep.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Protocol

from engine.errors import EngineError
from engine.validation.finding import Finding, Severity, bounded

MAX_FINDINGS: Final = 1000
"""Findings kept per check; the note says how many more there were."""

NOTHING_TO_CHECK: Final = "nothing to check"

TOOL_MISSING_EXIT: Final = 127
"""What a check's script ends with when its tool is nowhere; also what a shell says of a command it cannot find."""

_TAIL_CHARS: Final = 1500


class CheckStatus(StrEnum):
    """PASSED: looked and found nothing that fails it. FAILED: findings fail it. ERROR: no answer to be had."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check says. note: one sentence for people, "" when there is nothing to say.

    files: how many files the tool looked at, None when it does not tell. fails_on: the lowest severity of a finding
    that fails the check. cut: there are more findings than these.
    """

    check: str
    status: CheckStatus
    findings: tuple[Finding, ...] = ()
    note: str = ""
    files: int | None = None
    fails_on: Severity = Severity.ERROR
    cut: bool = False

    def to_json(self) -> dict[str, Any]:
        """JSON values, without the findings: a report lists those of all checks together."""
        return {
            "check": self.check,
            "status": self.status.value,
            "findings": len(self.findings),
            "note": self.note,
            "files": self.files,
            "fails_on": self.fails_on.value,
            "cut": self.cut,
        }


@dataclass(frozen=True, slots=True)
class ToolPlaces:
    """Where things are inside the sandbox: the workspace, and the tools of the image (which need not be there)."""

    root: str = "/workspace"
    tools: str = "/opt/tools/bin"


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a check's script left.

    exit_code: None when it ran into its time limit. stdout: all of it, unless `overflow`: then it wrote more than
    is kept. stderr: its last part. python_files: how many Python files the selection holds. root: the workspace's
    path inside the sandbox.
    """

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    python_files: int
    root: str
    overflow: bool = False

    def relative(self, path: str) -> str:
        """`path` as the tool printed it, relative to the workspace where it is inside."""
        normal = posixpath.normpath(path)
        inside = normal.removeprefix(self.root.rstrip("/") + "/")
        return "" if inside in (".", self.root) else inside


class ToolOutputError(EngineError):
    """A tool's output is not what the tool says when all is well; `reason` says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Check(Protocol):
    """One check: a tool and how to read it. Implementations have no state.

    `script` runs in `/bin/sh` in its own session, with the workspace as working directory, stdin empty, stdout and
    stderr to files of bounded size, and what `engine.validation.driver` defines: `tool NAME...` prints the path of
    the first tool that exists (status 127 when none does), `clean COMMAND...` runs a command with a fresh environment
    and empty home, `scripts_there` tells whether JavaScript or TypeScript is selected, `$named` is 1 when files were
    named, `$targets` is a file with one path a line to hand to a tool that looks at Python (files and directories,
    each starting with `./`; only `.` when none were named), `$listed` is the same with files of every kind and empty
    when none were named, `$python_files` is the number of Python files, `$tools` and `$where` are directories to find
    tools in (the image's tools, then PATH), `$work` is a directory to write in, `$programs` is the archive with
    `programs` (`engine.validation.archive`).
    """

    @property
    def name(self) -> str:
        """The name that plans use."""
        ...

    @property
    def python_only(self) -> bool:
        """Looks at nothing but Python files: passes, with a note, when there are none."""
        ...

    @property
    def runs_project_code(self) -> bool:
        """The tool executes code of the project (plugins, configuration): it is run after those that do not."""
        ...

    @property
    def writes(self) -> bool:
        """The tool runs the project itself (tests, builds): it may write into the workspace, gets a sandbox of its own
        over a view that forgets that, and its result is never kept."""
        ...

    @property
    def variant(self) -> str:
        """The image variant with its tools; "" for those that are in the image that the code itself runs in."""
        ...

    @property
    def programs(self) -> Sequence[str]:
        """Modules of `engine.validation.programs` that the script needs."""
        ...

    def time_limit_seconds(self) -> int:
        """The longest that the tool may take, also when the step would allow more."""
        ...

    def script(self) -> str:
        """The shell text."""
        ...

    def parse(self, output: ToolOutput) -> CheckResult:
        """What the output says. Pure; `output.exit_code` is set and is not 127, and nothing was cut off.

        Raises:
          ToolOutputError: the output is not one that this tool gives when it has done its work.
        """
        ...


def judge(check: Check, output: ToolOutput) -> CheckResult:
    """What a check's output means. Total: every output has an answer."""
    if check.python_only and output.python_files == 0:
        return CheckResult(check.name, CheckStatus.PASSED, note=f"{NOTHING_TO_CHECK}: no Python files", files=0)
    if output.exit_code is None:
        return validator_failed(check.name, "it ran into its time limit", output)
    if output.exit_code == TOOL_MISSING_EXIT:
        return tool_missing(check.name, output)
    if output.overflow:
        return validator_failed(check.name, "it printed more than is kept", output)
    try:
        return within_bounds(check.parse(output))
    except ToolOutputError as error:
        return validator_failed(check.name, error.reason, output)


def within_bounds(result: CheckResult) -> CheckResult:
    """The result with at most `MAX_FINDINGS` findings, errors first."""
    if len(result.findings) <= MAX_FINDINGS:
        return result
    errors = [finding for finding in result.findings if finding.severity is Severity.ERROR]
    others = [finding for finding in result.findings if finding.severity is not Severity.ERROR]
    more = f"{len(result.findings) - MAX_FINDINGS} more findings are left out"
    return replace(
        result,
        findings=tuple((errors + others)[:MAX_FINDINGS]),
        note=f"{result.note}; {more}" if result.note else more,
        cut=True,
    )


def validator_failed(check: str, reason: str, output: ToolOutput | None = None) -> CheckResult:
    """The check gave no answer: one finding `validator-failed` that says why, with the end of what was printed."""
    message = f"the {check} check gave no answer: {reason}{_tail(output)}"
    return _no_answer(check, "validator-failed", message)


def tool_missing(check: str, output: ToolOutput) -> CheckResult:
    """The image lacks the check's tool: one finding `tool-missing`."""
    return _no_answer(check, "tool-missing", f"the {check} check's tool is not in the image{_tail(output)}")


def _no_answer(check: str, rule: str, message: str) -> CheckResult:
    finding = Finding(rule=rule, severity=Severity.ERROR, message=bounded(message), check=check, category="tool")
    return CheckResult(check, CheckStatus.ERROR, (finding,), note=bounded(message.partition("\n")[0], 300))


def _tail(output: ToolOutput | None) -> str:
    """How the tool ended and the last it said, stderr before stdout, on lines of their own."""
    if output is None:
        return ""
    ended = "" if output.exit_code is None else f" (exit code {output.exit_code})"
    said = output.stderr.strip() or output.stdout.strip()
    text = said[-4 * _TAIL_CHARS :].decode("utf-8", "replace")[-_TAIL_CHARS:]
    return f"{ended}\n{text}" if text else ended
