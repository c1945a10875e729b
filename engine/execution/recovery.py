"""Puts in order what dead processes left: executions that say `running` or `idle` but that nobody drives, and paused
ones with a step that was frozen in a process that is gone.

Such an execution becomes `paused` with its reason, at a recovery checkpoint on its head; the step that was
running is pending again, because an attempt that was not journalled has left no trace. Converges: a second
call finds nothing to do.
"""

from __future__ import annotations

from engine.errors import ExecutionLockedError
from engine.events.types import EventKind
from engine.execution.locks import ExecutionLocks
from engine.journal.journal import Journal, Transaction
from engine.journal.records import CheckpointKind, ExecutionRecord
from engine.journal.states import ExecutionState, StepState

REASON = "interrupted: the process that ran it ended"


def recover_executions(journal: Journal, locks: ExecutionLocks) -> list[str]:
    """Blocking. Ids of the executions that were put in order."""
    recovered = []
    for record in [*journal.in_state(ExecutionState.RUNNING, ExecutionState.IDLE), *journal.paused_in_a_step()]:
        try:
            lock = locks.acquire(record.id)
        except ExecutionLockedError:
            continue
        try:
            if recover_execution(journal, record.id):
                recovered.append(record.id)
        finally:
            locks.release(lock)
    return recovered


def recover_execution(journal: Journal, execution_id: str) -> bool:
    """Blocking. Put one in order if that is needed; the caller holds its lock."""
    record: ExecutionRecord = journal.execution(execution_id)
    steps = journal.steps(execution_id)
    frozen = record.state is ExecutionState.PAUSED and any(step.state is StepState.RUNNING for step in steps)
    if record.state not in (ExecutionState.RUNNING, ExecutionState.IDLE) and not frozen:
        return False
    head = journal.checkpoint(execution_id, record.head)
    with journal.transaction() as tx:
        _pause(tx, record)
        for step in steps:
            if step.state is StepState.RUNNING:
                tx.move_step(execution_id, step.index, StepState.PENDING)
        made = tx.add_checkpoint(
            execution_id, f"recovered-{record.last_sequence}", CheckpointKind.RECOVERY, head.layer, head.id
        )
        tx.emit(
            execution_id,
            EventKind.CHECKPOINT_CREATED,
            None,
            checkpoint=made.id,
            name=made.name,
            changed=False,
        )
        tx.emit(execution_id, EventKind.EXECUTION_PAUSED, None, reason=REASON, head=head.id)
    return True


def _pause(tx: Transaction, record: ExecutionRecord) -> None:
    tx.move(record.id, ExecutionState.PAUSED, REASON)
    tx.set_execution(record.id, lease="")
