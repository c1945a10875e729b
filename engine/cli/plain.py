"""An execution's events as plain lines, one per change of state, for logs, CI and pipes. Pure.

A failed step is followed by the last lines of its output and by the command that shows the rest. Kinds of events
that this does not know give no line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from engine.cli.board import failure_reason
from engine.cli.escape import lines as escaped_lines
from engine.cli.escape import one_line
from engine.cli.timing import plural, span_text
from engine.events.types import Event, EventKind
from engine.journal.records import StepRecord

TAIL_LINES: Final = 20
Tails = Callable[[str], tuple[bytes, bytes]]
"""The last bytes of standard output and standard error of a step, by its id."""

STATE_KINDS: Final = {
    EventKind.EXECUTION_PAUSED: "paused",
    EventKind.EXECUTION_RESUMED: "resumed",
    EventKind.EXECUTION_COMPLETED: "completed",
    EventKind.EXECUTION_FAILED: "failed",
    EventKind.EXECUTION_CANCELLED: "cancelled",
}


class PlainLines:
    """Renders the events of one execution, in order."""

    def __init__(self, steps: Sequence[StepRecord], short_id: str, tails: Tails) -> None:
        self._number = {step.id: index for index, step in enumerate(steps, 1)}
        self._total = len(steps)
        self._short_id = short_id
        self._tails = tails
        self._began: datetime | None = None

    def lines(self, event: Event) -> list[str]:
        """The lines for one event; the first carries the time since the first event."""
        self._began = self._began or event.time
        text, *more = self._text(event) or [""]
        if not text:
            return []
        elapsed = (event.time - self._began) / timedelta(seconds=1)
        return [f"{elapsed:7.1f}s  {text}", *(f"{'':10}{line}" for line in more)]

    def _text(self, event: Event) -> list[str] | None:
        if event.step_id is not None and event.kind not in STATE_KINDS:
            return self._step_text(event, event.step_id)
        data = event.data
        match event.kind:
            case EventKind.EXECUTION_FORKED:
                done = ", ".join(one_line(str(step)) for step in data.get("done", ()))
                start = f"forked from {one_line(str(data.get('origin_name')))} at {data.get('checkpoint')}"
                return [start + (f", with {done} done" if done else "")]
            case EventKind.EXECUTION_STARTED:
                name, workspace = one_line(str(data.get("name", ""))), one_line(str(data.get("workspace", "")))
                return [f"{name}: {plural(self._total, 'step')} over {workspace} ({self._short_id})"]
            case EventKind.EXECUTION_QUEUED:
                return [f"waits for its turn, number {data.get('position')} in the queue"]
            case EventKind.ENVIRONMENT_PREPARING:
                return [f"setting up the environment ({plural(data.get('commands', 0), 'command')})"]
            case EventKind.CHECKPOINT_CREATED:
                return [f"checkpoint {one_line(str(data.get('checkpoint')))} {one_line(str(data.get('name')))}"]
            case EventKind.ROLLBACK_COMPLETED:
                undone = ", ".join(one_line(str(step)) for step in data.get("rolled_back", ()))
                return [f"rolled back to {one_line(str(data.get('head')))}" + (f", undoing {undone}" if undone else "")]
            case kind if kind in STATE_KINDS:
                reason = one_line(str(data.get("reason") or ""))
                return [STATE_KINDS[kind] + (f": {reason}" if reason else "")]
            case _:
                return None

    def _step_text(self, event: Event, step_id: str) -> list[str] | None:
        data = event.data
        title = f"[{self._number.get(step_id, '?')}/{self._total}] {one_line(step_id)}"
        match event.kind:
            case EventKind.STEP_STARTED:
                again = f", attempt {data['attempt']}" if data.get("attempt", 1) != 1 else ""
                return [f"{title} ({one_line(str(data.get('type', '')))}{again})"]
            case EventKind.STEP_COMPLETED:
                return [f"{title} succeeded in {_took(data)}{_extras(data)}"]
            case EventKind.STEP_FAILED:
                return [
                    f"{title} failed after {_took(data)}: {failure_reason(data)}{_extras(data)}",
                    *tail_lines(*self._tails(step_id)),
                    rest_line(self._short_id, step_id),
                ]
            case EventKind.STEP_SKIPPED:
                return [f"{title} skipped: {one_line(str(data.get('reason', '')))}"]
            case EventKind.STEP_RETRYING:
                reason = one_line(str(data.get("reason") or data.get("verdict") or "it failed"))
                wait = span_text(float(data.get("wait_ms", 0)))
                return [f"{title} trying again in {wait}: {reason}"]
            case _:
                return None


def tail_lines(stdout: bytes, stderr: bytes) -> list[str]:
    """The last lines of both streams, escaped, each after a bar; the streams are named when both said something."""
    shown = []
    for name, data in (("stdout", stdout), ("stderr", stderr)):
        if not data.strip():
            continue
        if stdout.strip() and stderr.strip():
            shown.append(f"{name}:")
        shown += [f"| {line}" for line in escaped_lines(data)[-TAIL_LINES:]]
    return shown


def rest_line(short_id: str, step_id: str) -> str:
    """How to see all that a step printed."""
    return f"see the rest: sandstone logs {short_id} {one_line(step_id)}"


def failure_lines(step: StepRecord, short_id: str) -> list[str]:
    """A failed step, the last lines of its output, and how to see the rest."""
    why = failure_reason({"detail": step.detail, "verdict": step.verdict, "exit_code": step.exit_code})
    return [
        f"step {one_line(step.id)} failed: {why}",
        *(f"  {line}" for line in tail_lines(step.stdout_tail, step.stderr_tail)),
        f"  {rest_line(short_id, step.id)}",
    ]


def _took(data: Mapping[str, Any]) -> str:
    return span_text(float(data.get("duration_ms") or 0))


def _extras(data: Mapping[str, Any]) -> str:
    """Totals of tests and findings, when there are any."""
    parts = [f"{count} {one_line(name)}" for name, count in (data.get("tests") or {}).items() if count]
    if data.get("findings"):
        parts.append(plural(data["findings"], "finding"))
    return f" ({', '.join(parts)})" if parts else ""
