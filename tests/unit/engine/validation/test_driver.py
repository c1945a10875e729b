"""The driver: what is asked of the sandbox, and what is made of its answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.validation.driver import MAX_STDOUT_BYTES, batch_request, batches, read_batch, time_limits
from engine.validation.lint import LintCheck
from engine.validation.selection import Selection
from engine.validation.syntax import SyntaxCheck
from engine.validation.type import TypeCheck
from engine.validation.validator import Check, CheckResult, ToolPlaces
from sandbox.policy import MAX_ARGUMENT_BYTES, check_request
from sandbox.spec import CapturedOutput, ExecResult, Verdict
from tests.unit.engine.validation.test_frames import framed

NONCE = "a1b2c3"
ALL: list[Check] = [SyntaxCheck(), LintCheck(), TypeCheck()]
DONE = (
    framed("selection", 7, b"./gone.py\n")
    + framed("syntax", 0, b"s")
    + framed("lint", 1, b"l", b"e")
    + framed("type", "hung")
    + framed("end", 0)
)


@dataclass(frozen=True)
class Named:
    """A check that only has what the driver needs to know of it."""

    name: str
    runs_project_code: bool
    limit: int = 1000
    python_only: bool = True
    programs: tuple[str, ...] = ()
    variant: str = ""
    writes: bool = False

    def time_limit_seconds(self) -> int:
        return self.limit

    def script(self) -> str:
        return ""

    def parse(self, output: object) -> CheckResult:
        raise AssertionError


def ended(stdout: bytes, verdict: Verdict | None = None, exit_code: int | None = 0, omitted: int = 0) -> ExecResult:
    captured = CapturedOutput(stdout, b"the tail" if omitted else b"", omitted)
    return ExecResult(exit_code, verdict, captured, CapturedOutput(b"sh: no setsid"), timedelta(0))


def test_checks_that_run_no_project_code_share_a_sandbox_with_one_that_does() -> None:
    one, two, three, four = (Named(name, name in "bd") for name in "abcd")
    assert batches([one, two, three, four]) == [[one, three, two], [four]]
    assert batches([two]) == [[two]]
    assert batches([]) == []
    assert batches(ALL) == [ALL]


def test_all_outputs_are_read() -> None:
    read = read_batch(ALL, ToolPlaces(), NONCE, ended(DONE))
    assert (read.problem, read.missing) == ("", (b"gone.py",))
    assert {name: (it.exit_code, it.stdout, it.python_files) for name, it in read.outputs.items()} == {
        "syntax": (0, b"s", 7),
        "lint": (1, b"l", 7),
        "type": (None, b"", 7),
    }


@pytest.mark.parametrize(
    "result",
    [
        ended(DONE, Verdict.OUT_OF_MEMORY),
        ended(DONE, Verdict.TIMEOUT, None),
        ended(DONE, exit_code=137),
        ended(DONE + b"x"),
        ended(DONE[:-1]),
        ended(DONE[: DONE.index(b"type") + 3]),
        ended(DONE, omitted=5),
    ],
)
def test_when_the_sandbox_ends_badly_only_checks_that_ran_before_project_code_count(result: ExecResult) -> None:
    read = read_batch(ALL, ToolPlaces(), NONCE, result)
    if result.stdout.omitted_bytes:
        assert read.problem == ""  # all frames were in what was kept, and what came after them is not ours to judge
    else:
        assert set(read.outputs) == {"syntax", "lint"}
        assert read.problem


def test_a_driver_that_cannot_work_gives_no_outputs_and_says_why() -> None:
    read = read_batch(ALL, ToolPlaces(), NONCE, ended(b"", exit_code=70))
    assert (read.outputs, read.missing) == ({}, ())
    assert read.problem.endswith("(exit code 70): sh: no setsid")


def test_output_that_reaches_its_bound_is_marked() -> None:
    data = framed("selection", 1) + framed("lint", 0, b"x" * MAX_STDOUT_BYTES) + framed("end", 0)
    assert read_batch([LintCheck()], ToolPlaces(), NONCE, ended(data)).outputs["lint"].overflow


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 2000)), min_size=1, max_size=5), st.integers(3, 4000))
def test_the_tools_limits_end_before_the_sandboxs(kinds: list[tuple[bool, int]], seconds: int) -> None:
    for batch in batches([Named(str(n), code, limit) for n, (code, limit) in enumerate(kinds)]):
        limits = time_limits(batch, timedelta(seconds=seconds))
        inert = [limit for check, limit in zip(batch, limits, strict=True) if not check.runs_project_code]
        code = [limit for check, limit in zip(batch, limits, strict=True) if check.runs_project_code]
        assert min(limits) >= 1
        assert max(inert, default=0) + sum(code) < seconds
        assert all(limit <= check.time_limit_seconds() for check, limit in zip(batch, limits, strict=True))


def test_the_request_is_one_that_every_sandbox_takes() -> None:
    names = tuple(b"d/%d \xc3\xa9'\".py" % number for number in range(20_000))
    request = batch_request(ALL, Selection(names), ToolPlaces(), NONCE, timedelta(seconds=60))
    check_request(request)
    assert request.cwd == "/workspace"
    assert len(request.command[2].encode()) < MAX_ARGUMENT_BYTES / 4
    assert request.stdin.count("\n") == len(names) + 1
