"""The two state machines as tables: which states there are and which moves exist. Pure.

Everything that changes a state goes through `check_move`; a move that is not in the table is a bug and raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from engine.errors import IllegalTransitionError


class ExecutionState(StrEnum):
    """Where an execution is.

    idle: accepted or resumed, waits for its turn; the engine goes on with it. running: a process drives it. paused:
    waits for `resume` (asked for, or interrupted by the death of its process, or rolled back by hand); a step that is
    `running` then stands still, frozen. completed: every step succeeded or was skipped by plan. failed: a step failed.
    cancelled: ended on request.
    """

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StepState(StrEnum):
    """Where a step is.

    skipped: something it needs failed, or the execution ended before it. rolled_back: it had succeeded and the
    head was moved back over it; it runs again on resume.
    """

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    ROLLED_BACK = "rolled_back"


_E = ExecutionState
EXECUTION_MOVES: Final[Mapping[ExecutionState, frozenset[ExecutionState]]] = MappingProxyType(
    {
        _E.IDLE: frozenset({_E.RUNNING, _E.CANCELLED, _E.FAILED, _E.PAUSED}),
        _E.RUNNING: frozenset({_E.PAUSED, _E.COMPLETED, _E.FAILED, _E.CANCELLED}),
        _E.PAUSED: frozenset({_E.IDLE, _E.RUNNING, _E.CANCELLED, _E.FAILED, _E.PAUSED}),
        _E.COMPLETED: frozenset({_E.PAUSED}),
        _E.FAILED: frozenset({_E.PAUSED}),
        _E.CANCELLED: frozenset({_E.PAUSED}),
    }
)
"""From the three ended states only a rollback leads on, and it ends in `paused`."""

_S = StepState
STEP_MOVES: Final[Mapping[StepState, frozenset[StepState]]] = MappingProxyType(
    {
        _S.PENDING: frozenset({_S.RUNNING, _S.SKIPPED}),
        _S.RUNNING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.PENDING}),
        _S.SUCCEEDED: frozenset({_S.ROLLED_BACK}),
        _S.FAILED: frozenset({_S.PENDING, _S.SUCCEEDED}),
        _S.SKIPPED: frozenset({_S.PENDING, _S.SUCCEEDED}),
        _S.ROLLED_BACK: frozenset({_S.RUNNING, _S.SKIPPED, _S.SUCCEEDED}),
    }
)
"""running -> pending: the attempt was interrupted (cancel, death of the controller) and left no trace. To succeeded
from others than running: the head was moved by hand to where the step's effect is."""

ENDED: Final = frozenset({_E.COMPLETED, _E.FAILED, _E.CANCELLED})
"""States in which nothing runs and nothing will without a rollback."""

ROLLBACK_ALLOWED: Final = frozenset({_E.PAUSED, _E.COMPLETED, _E.FAILED, _E.CANCELLED})
PAUSE_ALLOWED: Final = frozenset({_E.IDLE, _E.RUNNING, _E.PAUSED})
APPLY_ALLOWED: Final = ROLLBACK_ALLOWED


def check_move(subject: str, start: ExecutionState | StepState, finish: ExecutionState | StepState) -> None:
    """Raise IllegalTransitionError unless the table has the move."""
    allowed: frozenset[ExecutionState] | frozenset[StepState]
    if isinstance(start, ExecutionState):
        allowed = EXECUTION_MOVES[start]
    else:
        allowed = STEP_MOVES[start]
    if finish not in allowed:
        raise IllegalTransitionError(subject, start.value, finish.value)
