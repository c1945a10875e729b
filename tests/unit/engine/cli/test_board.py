"""The live display's state and frames."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.cli.board import Board
from engine.events.types import Event, EventKind, OutputChunk
from engine.journal.records import StepRecord
from engine.journal.states import ExecutionState, StepState
from sandbox.spec import Stream

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Seconds:
    def __init__(self) -> None:
        self.value = 0.0

    def __call__(self) -> float:
        return self.value


def event(kind: EventKind, step: str | None = None, **data: Any) -> Event:
    return Event("e", 1, kind, NOW, step, data)


def chunk(step: str, data: bytes) -> OutputChunk:
    return OutputChunk("e", step, 1, Stream.STDOUT, data)


def board(count: int = 3, seconds: Seconds | None = None) -> Board:
    steps = [StepRecord("e", index, f"s{index}", "command") for index in range(count)]
    return Board("fix", "0123456789ab", steps, {"s0": "1GiB, 1 cpu, 2m"}, seconds or Seconds())


def text(shown: Board, height: int = 40, unicode: bool = True) -> list[str]:
    frame = shown.frame(80, height, 0, unicode)
    return ["".join(piece for piece, _ in line).rstrip() for line in frame]


def test_a_frame_shows_each_step_with_its_state() -> None:
    seconds = Seconds()
    shown = board(seconds=seconds)
    shown.event(event(EventKind.STEP_STARTED, "s0", attempt=1))
    shown.output(chunk("s0", b"one\ntwo\n"))
    seconds.value = 1.5
    assert text(shown) == [
        "fix  0123456789ab  0/3  1.5 s  running",
        " ├─ ⠋ s0 command     1.5 s  1GiB, 1 cpu, 2m",
        " │      two",
        " ├─ · s1 command",
        " └─ · s2 command",
    ]


def test_a_frame_needs_no_unicode() -> None:
    shown = board()
    shown.event(event(EventKind.STEP_STARTED, "s0", attempt=2))
    shown.event(event(EventKind.STEP_FAILED, "s0", duration_ms=12.0, exit_code=3))
    assert all(line.isascii() for line in text(shown, unicode=False))
    assert text(shown, unicode=False)[1] == " |- x s0 command     12 ms  exit code 3"


def test_a_step_with_a_longer_name_and_hostile_output_stays_on_its_line() -> None:
    shown = board()
    shown.event(event(EventKind.STEP_STARTED, "s0", attempt=1))
    shown.output(chunk("s0", b"\x1b[2Jx\x07\n\n"))
    frame = text(shown)
    assert frame[2].endswith("\\x1b[2Jx\\x07")
    assert all(line.isprintable() for line in frame)


def test_a_progress_bar_shows_its_latest_state() -> None:
    shown = board()
    shown.event(event(EventKind.STEP_STARTED, "s0", attempt=1))
    for data in (b" 10%\r", b" 20%\r 3", b"0%"):
        shown.output(chunk("s0", data))
    assert text(shown)[2].endswith("30%")


def test_output_is_remembered_within_a_bound() -> None:
    shown = board()
    for _ in range(100):
        shown.output(chunk("s0", b"x" * 4096))
    assert len(shown.steps["s0"].partial) <= 4096


def test_more_steps_than_lines_are_shown_around_the_running_one() -> None:
    shown = board(100)
    shown.event(event(EventKind.STEP_STARTED, "s50", attempt=1))
    frame = text(shown, height=12)
    assert len(frame) <= 12
    assert any(" s50 " in line for line in frame)
    assert any("above" in line for line in frame)
    assert any("below" in line for line in frame)


def test_the_board_follows_the_events() -> None:
    shown = board()
    shown.event(event(EventKind.ENVIRONMENT_PREPARING, commands=1))
    assert "setting up" in text(shown)[0]
    shown.event(event(EventKind.STEP_STARTED, "s0", attempt=1))
    shown.event(event(EventKind.STEP_COMPLETED, "s0", duration_ms=3.0))
    shown.event(event(EventKind.STEP_SKIPPED, "s1", reason="why"))
    shown.event(event(EventKind.ROLLBACK_COMPLETED, rolled_back=["s0", "unknown"], head="c0"))
    shown.event(event(EventKind.EXECUTION_FAILED, reason="x"))
    states = [step.state for step in shown.steps.values()]
    assert states == [StepState.ROLLED_BACK, StepState.SKIPPED, StepState.PENDING]
    assert shown.state is ExecutionState.FAILED


def test_events_about_unknown_steps_change_nothing() -> None:
    shown = board()
    shown.event(event(EventKind.STEP_STARTED, "other", attempt=1))
    shown.output(chunk("other", b"x"))
    assert all(step.state is StepState.PENDING for step in shown.steps.values())


def test_a_cancelled_execution_shows_nothing_running() -> None:
    shown = board()
    shown.event(event(EventKind.STEP_STARTED, "s0", attempt=2))
    shown.output(chunk("s0", b"half way\n"))
    shown.event(event(EventKind.EXECUTION_CANCELLED, reason="SIGINT"))
    assert text(shown) == [
        "fix  0123456789ab  0/3  0.0 ms  cancelled",
        " ├─ · s0 command",
        " ├─ · s1 command",
        " └─ · s2 command",
    ]


@pytest.mark.parametrize("unicode", [True, False])
def test_a_narrow_terminal_shows_the_time_of_a_step_with_a_long_name(unicode: bool) -> None:
    seconds = Seconds()
    shown = Board("fix", "01", [StepRecord("e", 0, "build-everything-again", "command")], {}, seconds)
    shown.event(event(EventKind.STEP_STARTED, "build-everything-again", attempt=1))
    seconds.value = 12.3
    (line,) = shown.frame(40, 20, 0, unicode)[1:]
    assert "".join(piece for piece, _ in line) == (
        " └─ ⠋ build-every… command     12.3 s" if unicode else " `- | build-every~ command     12.3 s"
    )
