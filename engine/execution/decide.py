"""What comes next in an execution: pure functions over the plan and the steps' states.

Steps run in plan order. A step whose `needs` names a step that did not succeed is skipped; under
`on_failure: continue` the others go on and the execution ends `failed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.journal.records import CheckpointRecord, StepRecord
from engine.journal.states import ExecutionState, StepState


@dataclass(frozen=True, slots=True)
class RunStep:
    """Run the step with this index."""

    index: int


@dataclass(frozen=True, slots=True)
class SkipStep:
    """Do not run the step with this index; `reason` says why."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to run; the execution ends in this state."""

    state: ExecutionState
    reason: str = ""


Decision = RunStep | SkipStep | Finish

_OPEN = (StepState.PENDING, StepState.ROLLED_BACK)
_NOT_DONE = (StepState.FAILED, StepState.SKIPPED)
_COME_TO_AN_END = (StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED)
"""All of them are asked of every step of a plan: a tuple compares by identity, a set would hash each state."""


def decide(needs: Sequence[Sequence[str]], steps: Sequence[StepRecord]) -> Decision:
    """The next thing to do, given each step's `needs` (by index) and the steps' states."""
    for step in steps:
        if step.state not in _OPEN:
            continue
        missing = _not_done(needs[step.index], steps)
        if missing:
            return SkipStep(step.index, f"it needs {', '.join(missing)}, which did not succeed")
        return RunStep(step.index)
    failed = [step for step in steps if step.state is StepState.FAILED]
    if failed:
        return Finish(ExecutionState.FAILED, failure_text(failed[0]))
    return Finish(ExecutionState.COMPLETED)


def _not_done(needs: Sequence[str], steps: Sequence[StepRecord]) -> list[str]:
    if not needs:  # most steps: the others need not be looked at
        return []
    not_done = {step.id for step in steps if step.state in _NOT_DONE}
    return [need for need in needs if need in not_done]


def failure_text(step: StepRecord) -> str:
    """One sentence on why a step failed."""
    why = step.detail or (f"exit code {step.exit_code}" if step.exit_code is not None else "failed")
    return f"step {step.id} failed: {why}"


def ancestry(checkpoints: Sequence[CheckpointRecord], checkpoint_id: str) -> list[CheckpointRecord]:
    """The checkpoint and all below it, nearest first."""
    by_id: Mapping[str, CheckpointRecord] = {record.id: record for record in checkpoints}
    line: list[CheckpointRecord] = []
    current: str | None = checkpoint_id
    while current is not None:
        record = by_id[current]
        line.append(record)
        current = record.parent
    return line


def undone_steps(steps: Sequence[StepRecord], checkpoints: Sequence[CheckpointRecord], target: str) -> list[StepRecord]:
    """The succeeded steps whose effect is not part of checkpoint `target`."""
    held = _held(steps, checkpoints, target)
    return [step for step in steps if step.state is StepState.SUCCEEDED and step.id not in held]


def redone_steps(steps: Sequence[StepRecord], checkpoints: Sequence[CheckpointRecord], target: str) -> dict[int, str]:
    """The steps whose effect is part of checkpoint `target` though they do not count as succeeded, or not by it: the
    index of each, and the checkpoint that has it. They come back with a head that is moved to where it was before."""
    held = _held(steps, checkpoints, target)
    return {
        step.index: held[step.id]
        for step in steps
        if step.id in held
        and (step.state in _GONE or (step.state is StepState.SUCCEEDED and step.checkpoint != held[step.id]))
    }


def _held(steps: Sequence[StepRecord], checkpoints: Sequence[CheckpointRecord], target: str) -> dict[str, str]:
    """Of every step whose effect is part of checkpoint `target`: the checkpoint that it left. (What a fork began with
    is in checkpoints that belong to no step of it.)"""
    line = ancestry(checkpoints, target)
    left = {record.step_id: record.id for record in reversed(line) if record.step_id is not None}
    known = {record.id for record in line}
    return left | {step.id: step.checkpoint for step in steps if step.checkpoint in known and step.checkpoint}


_GONE = (StepState.ROLLED_BACK, StepState.FAILED, StepState.SKIPPED)


def steps_done(steps: Sequence[StepRecord]) -> int:
    """How many steps have come to an end."""
    return sum(step.state in _COME_TO_AN_END for step in steps)


@dataclass(frozen=True, slots=True)
class StepUsage:
    """What one attempt of a step used. None: this host does not tell.

    disk_bytes: what its layer holds on the disk; while it runs, by how much its volume has grown.
    output_bytes: what it printed, before secrets are masked.
    """

    cpu_ms: float | None = None
    memory_peak_bytes: int | None = None
    disk_bytes: int | None = None
    output_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "cpu_ms": self.cpu_ms,
            "memory_peak_bytes": self.memory_peak_bytes,
            "disk_bytes": self.disk_bytes,
            "output_bytes": self.output_bytes,
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an execution is.

    elapsed_ms: time in state running. estimate_ms: what is left, None when unknown. position: turns until its own,
    1 for the next, None when it does not wait for one. output_bytes: of the last attempts of all steps, before
    secrets are masked. usage: of the attempt under way, None when there is none in this process.
    """

    execution_id: str
    state: ExecutionState
    done: int
    total: int
    step_id: str | None
    attempt: int
    elapsed_ms: float
    estimate_ms: float | None
    position: int | None = None
    output_bytes: int = 0
    usage: StepUsage | None = None


def printed_bytes(steps: Sequence[StepRecord], running: str | None) -> int:
    """What the last attempts of the steps printed, less the step that is running."""
    return sum(int(step.usage.get("output_bytes") or 0) for step in steps if step.id != running)


def estimate_left(elapsed_ms: float, done: int, total: int) -> float | None:
    """Time left if the remaining steps take as long as the finished ones did on average."""
    if done == 0 or total == 0:
        return None
    return elapsed_ms / done * (total - done)
