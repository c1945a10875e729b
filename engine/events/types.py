"""What happened: events are past facts with a number. Pure records.

An event of an execution has a `sequence` that starts at 1 and has no gaps; it is written to the journal before
anyone hears of it. Output of steps is not an event of the journal (it is in the attempt's log): live listeners
get it as `OutputChunk`, masked, without a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sandbox.spec import Stream


class EventKind(StrEnum):
    """The kinds of events; new ones may be added, readers skip what they do not know."""

    EXECUTION_FORKED = "execution-forked"
    EXECUTION_QUEUED = "execution-queued"
    EXECUTION_STARTED = "execution-started"
    EXECUTION_PROGRESS = "execution-progress"
    EXECUTION_COMPLETED = "execution-completed"
    EXECUTION_FAILED = "execution-failed"
    EXECUTION_PAUSED = "execution-paused"
    EXECUTION_RESUMED = "execution-resumed"
    EXECUTION_CANCELLED = "execution-cancelled"
    STEP_STARTED = "step-started"
    STEP_COMPLETED = "step-completed"
    STEP_FAILED = "step-failed"
    STEP_SKIPPED = "step-skipped"
    STEP_RETRYING = "step-retrying"
    VALIDATION_COMPLETED = "validation-completed"
    CHECKPOINT_CREATED = "checkpoint-created"
    ROLLBACK_STARTED = "rollback-started"
    ROLLBACK_COMPLETED = "rollback-completed"
    ENVIRONMENT_PREPARING = "environment-preparing"
    APPLY_COMPLETED = "apply-completed"
    APPLY_UNDONE = "apply-undone"


@dataclass(frozen=True, slots=True)
class Event:
    """One fact about an execution. `data` holds JSON values only and never a secret."""

    execution_id: str
    sequence: int
    kind: EventKind
    time: datetime
    step_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The shape that `sandstone events --json` prints, one object a line."""
        return {
            "execution_id": self.execution_id,
            "sequence": self.sequence,
            "kind": self.kind.value,
            "time": self.time.isoformat(),
            "step_id": self.step_id,
            "data": dict(self.data),
        }


@dataclass(frozen=True, slots=True)
class OutputChunk:
    """Some output of the running attempt, secrets masked; may split a character. Not in the journal."""

    execution_id: str
    step_id: str
    attempt: int
    stream: Stream
    data: bytes
