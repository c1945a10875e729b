"""The live state of one execution in the process that drives it. No effects."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.clock import Clock
from engine.execution.attempt import ExecutionContext
from engine.execution.control import RunControl
from engine.execution.decide import Progress, estimate_left
from engine.execution.masking import Masker
from engine.journal.records import CheckpointRecord, ExecutionRecord, StepRecord
from engine.journal.states import StepState

_DONE = frozenset({StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED})


@dataclass(slots=True)
class Run:
    """`steps` and `head` mirror the journal; only the driver changes them, after the journal has them.

    lock: descriptor of the execution's lock. recorded: paths that have a baseline. parked: no step is running,
    because a pause is in force. clock_started: None until the first step may run.
    """

    record: ExecutionRecord
    context: ExecutionContext
    steps: list[StepRecord]
    head: CheckpointRecord
    masker: Masker
    lock: int
    recorded: dict[bytes, None]
    needs: Sequence[Sequence[str]]
    control: RunControl = field(default_factory=RunControl)
    current: StepRecord | None = None
    attempt: int = 0
    parked: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    clock_started: float | None = None

    @property
    def id(self) -> str:
        return self.record.id

    def elapsed_ms(self, clock: Clock) -> float:
        """Time that steps had to run in, over all resumes; the set-up of the environment is not counted."""
        if self.parked or self.clock_started is None:
            return self.record.run_ms
        return self.record.run_ms + (clock.monotonic() - self.clock_started) * 1e3

    def progress(self, clock: Clock) -> Progress:
        """How far it is now."""
        done = sum(step.state in _DONE for step in self.steps)
        elapsed = self.elapsed_ms(clock)
        return Progress(
            execution_id=self.id,
            state=self.record.state,
            done=done,
            total=len(self.steps),
            step_id=self.current.id if self.current else None,
            attempt=self.attempt,
            elapsed_ms=elapsed,
            estimate_ms=estimate_left(elapsed, done, len(self.steps)),
        )
