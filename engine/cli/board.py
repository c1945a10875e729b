"""What a live display knows about a running execution, kept from its events and output; and the frame that is
drawn from it. Pure: frames are lists of styled pieces, drawn by `engine.cli.live`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.cli.escape import one_line
from engine.cli.timing import span_text
from engine.events.types import Event, EventKind, OutputChunk
from engine.journal.records import StepRecord
from engine.journal.states import ExecutionState, StepState

LINE_TAIL_BYTES: Final = 4096
MAX_ID_WIDTH: Final = 24
"""Longer ids do not move the columns of the others."""
LEAST_ID_WIDTH: Final = 8
BESIDE_ID: Final = 28
"""Columns that a step's line needs beside its id: the tree, the mark, the type, the time."""
Piece = tuple[str, str]
"""Some text and the name of its style in `engine.cli.output.STYLES`, or ""."""

SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
ASCII_SPINNER: Final = "|/-\\"
MARKS: Final[Mapping[StepState, tuple[str, str, str]]] = {
    StepState.PENDING: ("·", ".", "dim"),
    StepState.RUNNING: ("", "", "accent"),
    StepState.SUCCEEDED: ("✔", "+", "good"),
    StepState.FAILED: ("✘", "x", "bad"),
    StepState.SKIPPED: ("-", "-", "dim"),
    StepState.ROLLED_BACK: ("↶", "<", "warn"),
}
"""Each state's mark, its mark in ASCII, and its style."""


@dataclass(slots=True)
class BoardStep:
    """One step as the board knows it. limits: for people; started: monotonic seconds."""

    id: str
    type: str
    state: StepState
    limits: str = ""
    attempt: int = 0
    started: float = 0.0
    duration_ms: float | None = None
    note: str = ""
    partial: bytes = field(default=b"", repr=False)
    last_line: bytes = field(default=b"", repr=False)


class Board:
    """The state of one execution on display. `now` gives monotonic seconds."""

    def __init__(
        self,
        title: str,
        short_id: str,
        steps: Iterable[StepRecord],
        limits: Mapping[str, str],
        now: Callable[[], float],
    ) -> None:
        self.title = title
        self.short_id = short_id
        self.state = ExecutionState.RUNNING
        self.activity = ""
        self.steps = {
            s.id: BoardStep(s.id, s.type, s.state, limits.get(s.id, ""), s.attempts, 0.0, s.duration_ms) for s in steps
        }
        self._id_width = min(MAX_ID_WIDTH, max((len(id) for id in self.steps), default=0))
        self._now = now
        self._began = now()

    def event(self, event: Event) -> None:
        """Take in what happened."""
        step = self.steps.get(event.step_id) if event.step_id is not None else None
        if step is not None:
            _step_event(step, event.kind, event.data, self._now())
        self.activity = ""
        match event.kind:
            case EventKind.ENVIRONMENT_PREPARING:
                self.activity = "setting up the environment"
            case EventKind.EXECUTION_QUEUED:
                self.activity = "waiting for its turn"
            case EventKind.EXECUTION_PAUSED:
                self.state = ExecutionState.PAUSED
            case EventKind.EXECUTION_RESUMED:
                self.state = ExecutionState.RUNNING
            case EventKind.EXECUTION_COMPLETED:
                self.state = ExecutionState.COMPLETED
            case EventKind.EXECUTION_FAILED:
                self.state = ExecutionState.FAILED
            case EventKind.EXECUTION_CANCELLED:
                self.state = ExecutionState.CANCELLED
                self._stop_running()
            case EventKind.ROLLBACK_COMPLETED:
                for undone in event.data.get("rolled_back", ()):
                    if undone in self.steps:
                        self.steps[undone].state = StepState.ROLLED_BACK
            case _:
                pass

    def _stop_running(self) -> None:
        """What ran was thrown away: the step is as if it had never begun."""
        for step in self.steps.values():
            if step.state is StepState.RUNNING:
                step.state, step.note = StepState.PENDING, ""

    def output(self, chunk: OutputChunk) -> None:
        """Remember the last line that is not blank; a line without end is shown while it grows."""
        step = self.steps.get(chunk.step_id)
        if step is None:
            return
        lines = (step.partial + chunk.data)[-LINE_TAIL_BYTES:].replace(b"\r", b"\n").split(b"\n")
        step.partial = lines[-1]
        for line in reversed(lines):
            if line.strip():
                step.last_line = line
                return

    def frame(self, width: int, height: int, tick: int, unicode: bool) -> list[list[Piece]]:
        """The lines to draw, at most `height` of them."""
        done = sum(step.state not in (StepState.PENDING, StepState.RUNNING) for step in self.steps.values())
        elapsed = span_text((self._now() - self._began) * 1000)
        head: list[Piece] = [
            (one_line(self.title), "bold"),
            (f"  {self.short_id}  {done}/{len(self.steps)}  {elapsed}  ", "dim"),
            (self.activity or self.state.value, "accent"),
        ]
        steps = list(self.steps.values())
        first, last = _window(steps, max(1, height - 5))
        lines = [head]
        if first:
            lines.append([(f"   ({first} above)", "dim")])
        for index in range(first, last):
            is_last = index == len(steps) - 1
            lines += self._step_lines(steps[index], is_last, width, tick, unicode)
        if last < len(steps):
            lines.append([(f"   ({len(steps) - last} below)", "dim")])
        return lines[:height]

    def _step_lines(self, step: BoardStep, is_last: bool, width: int, tick: int, unicode: bool) -> list[list[Piece]]:
        mark, ascii_mark, style = MARKS[step.state]
        if step.state is StepState.RUNNING:
            spinner = SPINNER if unicode else ASCII_SPINNER
            mark = ascii_mark = spinner[tick % len(spinner)]
        branch, bar = ("└─", "  ") if is_last else ("├─", "│ ")
        if not unicode:
            branch, bar = ("`-", "  ") if is_last else ("|-", "| ")
        room = max(LEAST_ID_WIDTH, width - BESIDE_ID)
        line: list[Piece] = [
            (f" {branch} ", "dim"),
            (mark if unicode else ascii_mark, style),
            (f" {_shortened(step.id, room, unicode):<{min(self._id_width, room)}} ", ""),
            (f"{step.type:<11} ", "dim"),
        ]
        if step.state is StepState.RUNNING:
            line.append((span_text((self._now() - step.started) * 1000), "accent"))
            if step.limits:
                line.append((f"  {step.limits}", "dim"))
        elif step.duration_ms is not None:
            line.append((span_text(step.duration_ms), "dim"))
        if step.note:
            line.append((f"  {step.note}", style))
        lines = [line]
        if step.state is StepState.RUNNING and step.last_line:
            lines.append([(f" {bar}     ", "dim"), (one_line(step.last_line.expandtabs(8)), "dim")])
        return lines


def _shortened(step_id: str, width: int, unicode: bool) -> str:
    """The id, cut so that what stands behind it is seen on a narrow terminal."""
    mark = "…" if unicode else "~"
    return step_id if len(step_id) <= width else step_id[: width - 1] + mark


def _step_event(step: BoardStep, kind: EventKind, data: Mapping[str, Any], now: float) -> None:
    match kind:
        case EventKind.STEP_STARTED:
            step.state = StepState.RUNNING
            step.started = now
            step.attempt = int(data.get("attempt", 1))
            step.note = f"attempt {step.attempt}" if step.attempt > 1 else ""
            step.last_line = step.partial = b""
        case EventKind.STEP_COMPLETED:
            step.state = StepState.SUCCEEDED
            step.duration_ms = data.get("duration_ms")
        case EventKind.STEP_FAILED:
            step.state = StepState.FAILED
            step.duration_ms = data.get("duration_ms")
            step.note = failure_reason(data)
        case EventKind.STEP_SKIPPED:
            step.state = StepState.SKIPPED
            step.note = one_line(str(data.get("reason", "")))
        case EventKind.STEP_RETRYING:
            step.note = f"trying again in {span_text(float(data.get('wait_ms', 0)))}"
        case _:
            pass


def failure_reason(data: Mapping[str, Any]) -> str:
    """Why a step failed, from the event's data: one line, escaped."""
    if data.get("detail"):
        return one_line(str(data["detail"]))
    if data.get("verdict"):
        return one_line(str(data["verdict"]).replace("_", " "))
    if data.get("exit_code") is not None:
        return f"exit code {int(data['exit_code'])}"
    return "failed"


def _window(steps: Sequence[BoardStep], room: int) -> tuple[int, int]:
    """Which steps to show: all, or `room` of them around the one that runs (else the last that ended)."""
    if len(steps) <= room:
        return 0, len(steps)
    touched = [index for index, step in enumerate(steps) if step.state is not StepState.PENDING]
    running = [index for index, step in enumerate(steps) if step.state is StepState.RUNNING]
    center = (running or touched or [0])[-1]
    first = min(max(0, center - room // 2), len(steps) - room)
    return first, first + room
