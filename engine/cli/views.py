"""The ways a running execution is shown on standard error: live on a terminal, as plain lines, or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from engine.cli.board import Board
from engine.cli.follow import View
from engine.cli.output import Output
from engine.cli.plain import PlainLines, failure_lines
from engine.cli.shapes import SHORT_ID
from engine.events.types import Event, OutputChunk
from engine.journal.records import ExecutionRecord, StepRecord
from engine.journal.states import StepState
from engine.plan.model import Plan
from engine.plan.units import format_duration, format_size

if TYPE_CHECKING:
    from engine.cli.live import LiveBoard
    from engine.journal.journal import Journal

SANDBOXED: Final = frozenset({"command", "test", "validation"})
"""Types of steps that run in a container of their own."""


class QuietView:
    """Shows nothing."""

    def start(self) -> None:
        pass

    def event(self, event: Event) -> None:
        pass

    def output(self, chunk: OutputChunk) -> None:
        pass

    def tick(self) -> None:
        pass

    def stop(self) -> None:
        pass


class PlainView(QuietView):
    """Prints lines as events come."""

    def __init__(self, lines: PlainLines, output: Output) -> None:
        self._lines = lines
        self._output = output

    def event(self, event: Event) -> None:
        for line in self._lines.lines(event):
            self._output.note(line)


class LiveView(QuietView):
    """Redraws the board; when it stops, prints what failed below it."""

    def __init__(self, board: Board, live: LiveBoard, failures: Callable[[], list[str]], output: Output) -> None:
        self._board = board
        self._live = live
        self._failures = failures
        self._output = output

    def start(self) -> None:
        self._live.start()

    def event(self, event: Event) -> None:
        self._board.event(event)

    def output(self, chunk: OutputChunk) -> None:
        self._board.output(chunk)

    def tick(self) -> None:
        self._live.draw()

    def stop(self) -> None:
        self._live.stop()
        for line in self._failures():
            self._output.note(line)


def make_view(
    output: Output, quiet: bool, plan: Plan, record: ExecutionRecord, steps: list[StepRecord], journal: Journal
) -> View:
    """The view that fits the terminal and the options."""
    if quiet:
        return QuietView()
    short_id = record.id[:SHORT_ID]

    def tails(step_id: str) -> tuple[bytes, bytes]:
        step = next(step for step in journal.steps(record.id) if step.id == step_id)
        return step.stdout_tail, step.stderr_tail

    if not output.live:
        return PlainView(PlainLines(steps, short_id, tails), output)

    def failures() -> list[str]:
        failed = [step for step in journal.steps(record.id) if step.state is StepState.FAILED]
        return [line for step in failed for line in failure_lines(step, short_id)]

    from engine.cli.live import LiveBoard

    board = Board(record.name, short_id, steps, limits_of(plan), time.monotonic)
    return LiveView(board, LiveBoard(board, output), failures, output)


def limits_of(plan: Plan) -> dict[str, str]:
    """What each step that runs something is limited to, in a few words, by step id."""
    limits = {}
    for step in plan.steps:
        if step.type in SANDBOXED:
            settings = plan.settings_for(step)
            limits[step.id] = ", ".join(
                [
                    format_size(settings.limits.memory_bytes),
                    f"{settings.limits.cpus:g} cpu",
                    format_duration(settings.timeout),
                ]
            )
    return limits
