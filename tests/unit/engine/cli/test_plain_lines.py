"""Events as plain lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from engine.cli.plain import TAIL_LINES, PlainLines, tail_lines
from engine.events.types import Event, EventKind
from engine.journal.records import StepRecord

START = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = [StepRecord("e", 0, "fix", "file_edit"), StepRecord("e", 1, "unit", "test"), StepRecord("e", 2, "b", "command")]


def event(number: int, kind: str, step: str | None = None, at: float = 0.0, **data: Any) -> Event:
    return Event("e", number, EventKind(kind), START + timedelta(seconds=at), step, data)


RECORDED = [
    event(1, "execution-started", name="fix gcd", workspace="/home/u/p", steps=3),
    event(2, "environment-preparing", commands=2),
    event(3, "step-started", "fix", 0.5, type="file_edit", attempt=1),
    event(4, "checkpoint-created", "fix", 0.5, checkpoint="c1", name="fix"),
    event(5, "step-completed", "fix", 0.5, duration_ms=3.21, findings=0),
    event(6, "execution-progress", None, 0.5, done=1, total=3),
    event(7, "step-started", "unit", 0.6, type="test", attempt=1),
    event(8, "step-retrying", "unit", 0.7, reason="sandbox unavailable: lost", wait_ms=500.0),
    event(9, "step-started", "unit", 1.2, type="test", attempt=2),
    event(10, "step-failed", "unit", 4.0, duration_ms=2800.0, exit_code=1, tests={"passed": 3, "failed": 1}),
    event(11, "rollback-started", None, 4.0, to="c0"),
    event(12, "rollback-completed", None, 4.0, head="c0", rolled_back=["fix"]),
    event(13, "step-skipped", "b", 4.0, reason="the execution ended before it"),
    event(14, "execution-failed", None, 64.0, reason="step unit failed: exit code 1"),
]


def test_recorded_events_give_one_line_per_change_of_state() -> None:
    lines = PlainLines(STEPS, "0123456789ab", lambda step: (b"F test_gcd\n", b""))
    shown = [line for recorded in RECORDED for line in lines.lines(recorded)]
    assert (
        "\n".join(shown)
        == """\
    0.0s  fix gcd: 3 steps over /home/u/p (0123456789ab)
    0.0s  setting up the environment (2 commands)
    0.5s  [1/3] fix (file_edit)
    0.5s  [1/3] fix succeeded in 3.2 ms
    0.6s  [2/3] unit (test)
    0.7s  [2/3] unit trying again in 500 ms: sandbox unavailable: lost
    1.2s  [2/3] unit (test, attempt 2)
    4.0s  [2/3] unit failed after 2.8 s: exit code 1 (3 passed, 1 failed)
          | F test_gcd
          see the rest: sandstone logs 0123456789ab unit
    4.0s  rolled back to c0, undoing fix
    4.0s  [3/3] b skipped: the execution ended before it
   64.0s  failed: step unit failed: exit code 1"""
    )


def test_what_events_carry_is_escaped() -> None:
    bad = "\x1b[31m\u202e\n"
    lines = PlainLines(STEPS, "0123456789ab", lambda step: (bad.encode(), b""))
    for recorded in (
        event(1, "execution-started", name=bad, workspace=bad),
        event(2, "step-skipped", "fix", reason=bad),
        event(3, "step-retrying", "fix", reason=bad),
        event(4, "step-failed", "unit", detail=bad, tests={bad: 1}),
        event(5, "execution-failed", reason=bad),
        event(6, "checkpoint-created", checkpoint="c1", name=bad),
        event(7, "rollback-completed", head=bad, rolled_back=[bad]),
    ):
        shown = lines.lines(recorded)
        assert shown
        assert all(line.isprintable() for line in shown), recorded.kind


def test_only_the_last_lines_of_output_are_shown() -> None:
    many = b"".join(b"%d\n" % number for number in range(100))
    shown = tail_lines(many, b"")
    assert len(shown) == TAIL_LINES
    assert shown[-1] == "| 99"


def test_streams_are_named_when_both_said_something() -> None:
    assert tail_lines(b"a\n", b"b\n") == ["stdout:", "| a", "stderr:", "| b"]
    assert tail_lines(b"  \n", b"b\n") == ["| b"]
    assert tail_lines(b"", b"") == []


def test_a_verdict_says_why_when_there_is_no_sentence() -> None:
    lines = PlainLines(STEPS, "x", lambda step: (b"", b""))
    shown = lines.lines(event(1, "step-failed", "unit", verdict="out_of_memory", exit_code=137))
    assert "out of memory" in shown[0]
