"""The end of a run in words: what became of it, what changed, and what to type next. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from engine.cli.escape import one_line
from engine.cli.shapes import SHORT_ID
from engine.cli.timing import plural, span_text
from engine.journal.records import CheckpointRecord, ExecutionRecord, StepRecord
from engine.journal.states import ExecutionState

STATE_STYLE: Final = {
    ExecutionState.COMPLETED: "good",
    ExecutionState.FAILED: "bad",
    ExecutionState.CANCELLED: "warn",
    ExecutionState.PAUSED: "warn",
    ExecutionState.RUNNING: "accent",
    ExecutionState.IDLE: "dim",
}


def headline(record: ExecutionRecord) -> tuple[str, str]:
    """The state, and the rest of the line."""
    reason = f": {one_line(record.reason)}" if record.reason else ""
    return (
        record.state.value,
        f"{one_line(record.name)} ({record.id[:SHORT_ID]}) in {span_text(record.run_ms)}{reason}",
    )


def end_text(record: ExecutionRecord) -> str:
    """Why a run did not come to a good end; empty when it did. A reason to cancel or to pause says not which it was."""
    reason = one_line(record.reason) if record.reason else ""
    if record.state in (ExecutionState.CANCELLED, ExecutionState.PAUSED):
        return f"{record.state.value}: {reason}" if reason else record.state.value
    return reason


def origin_text(forked_from: str) -> str:
    """Where a fork comes from: `0123456789ab at c3`."""
    origin, _, checkpoint = forked_from.partition(":")
    return f"{origin[:SHORT_ID]} at {checkpoint}"


def step_counts(steps: Sequence[StepRecord]) -> str:
    """`5 steps: 4 succeeded, 1 skipped`."""
    counts = Counter(step.state.value.replace("_", " ") for step in steps)
    parts = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"{plural(len(steps), 'step')}: {parts}"


def next_commands(
    record: ExecutionRecord, changed: bool, applied: bool, branches: Sequence[CheckpointRecord]
) -> list[tuple[str, str]]:
    """Commands that make sense now, each with what it does. `branches`: what failed attempts left."""
    short = record.id[:SHORT_ID]
    commands = []
    if applied:
        commands.append((f"sandstone apply {short} --undo", "bring back what was there before"))
    elif changed:
        commands.append((f"sandstone diff {short}", "see the changes"))
        commands.append((f"sandstone apply {short}", f"copy them to {one_line(record.workspace)}"))
        commands.append((f"sandstone rollback {short}", "go one checkpoint back"))
    if branches and record.state is ExecutionState.FAILED:
        span = f"{branches[-1].parent}..{branches[-1].id}"
        commands.append((f"sandstone diff {short} {span}", "see what the failed attempt changed"))
    if record.state is ExecutionState.PAUSED:
        commands.append((f"sandstone resume {short}", "go on"))
    return commands


def step_reason(step: StepRecord) -> str:
    """Why a step is what it is, when there is something to say: one line, escaped."""
    if step.detail:
        return one_line(step.detail)
    if step.verdict:
        return one_line(step.verdict.replace("_", " "))
    return f"exit code {step.exit_code}" if step.exit_code else ""
