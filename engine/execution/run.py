"""The live state of one execution in the process that drives it. No effects."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.clock import Clock
from engine.execution.attempt import ExecutionContext
from engine.execution.control import RunControl
from engine.execution.decide import Progress, estimate_left, printed_bytes, steps_done
from engine.execution.masking import Masker
from engine.execution.metering import AttemptMeter
from engine.execution.queue import Place
from engine.journal.records import CheckpointRecord, ExecutionRecord, StepRecord


@dataclass(slots=True)
class Run:
    """`steps`, `head` and `record` mirror the journal; they change after the journal has it.

    lock: descriptor of the execution's lock. recorded: paths that have a baseline. claimants: indexes
    of the steps that claim a sandbox. place: in the queue; None until it
    is to go on. opened: its volume is open. meter: of the attempt under way. running_since: monotonic seconds, None
    while it does not run. verbs: held by whoever changes the execution's state. answered: the last pause has taken
    effect, or will not. ended: this process does not drive it any more.
    """

    record: ExecutionRecord
    context: ExecutionContext
    steps: list[StepRecord]
    head: CheckpointRecord
    masker: Masker
    lock: int
    recorded: dict[bytes, None]
    needs: Sequence[Sequence[str]]
    claimants: Sequence[int]
    control: RunControl = field(default_factory=RunControl)
    place: Place | None = None
    opened: bool = False
    setting_up: bool = False
    current: StepRecord | None = None
    attempt: int = 0
    meter: AttemptMeter | None = None
    running_since: float | None = None
    verbs: asyncio.Lock = field(default_factory=asyncio.Lock)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def step_id(self) -> str | None:
        """The step that is under way."""
        return self.current.id if self.current is not None else None

    def elapsed_ms(self, clock: Clock) -> float:
        """Time in state running, over all resumes."""
        running = 0.0 if self.running_since is None else (clock.monotonic() - self.running_since) * 1e3
        return self.record.run_ms + running

    def progress(self, clock: Clock, position: int | None = None, disk_bytes: int | None = None) -> Progress:
        """How far it is now. position: in the queue. disk_bytes: what the attempt under way takes."""
        done = steps_done(self.steps)
        elapsed = self.elapsed_ms(clock)
        live = self.meter.usage(disk_bytes) if self.meter is not None else None
        return Progress(
            execution_id=self.id,
            state=self.record.state,
            done=done,
            total=len(self.steps),
            step_id=self.step_id,
            attempt=self.attempt,
            elapsed_ms=elapsed,
            estimate_ms=estimate_left(elapsed, done, len(self.steps)),
            position=position,
            output_bytes=printed_bytes(self.steps, self.step_id) + (live.output_bytes if live is not None else 0),
            usage=live,
        )
