"""Puts in order what dead processes left: executions that say `running` or `idle` but that nobody drives, and paused
ones with a step that was frozen in a process that is gone.

Such an execution becomes `paused` with its reason, at a recovery checkpoint on its head; the step that was
running is pending again, and what it left without becoming a checkpoint is gone: a layer that was committed
directly before the death would take room from the next attempt for ever. Converges: a second call finds nothing to
do, however often the first ones were killed.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import ExecutionLockedError
from engine.events.types import Event, EventKind
from engine.execution.locks import ExecutionLocks
from engine.execution.logs import LogStore
from engine.failpoints import EnginePoint
from engine.journal.journal import Journal, Transaction
from engine.journal.records import CheckpointKind, ExecutionRecord
from engine.journal.states import ExecutionState, StepState
from sandbox.failpoints import reached
from sandbox.workspace.layer import LayerKind, LayerName
from sandbox.workspace.store import LayerStore

REASON = "interrupted: the process that ran it ended"


@dataclass(frozen=True, slots=True)
class Recovery:
    """Puts executions of one state directory in order. All blocking."""

    journal: Journal
    store: LayerStore
    locks: ExecutionLocks
    logs: LogStore

    def all(self) -> list[str]:
        """Ids of the executions that were put in order; those that a live process has are left alone."""
        recovered = []
        states = (ExecutionState.RUNNING, ExecutionState.IDLE)
        for record in [*self.journal.in_state(*states), *self.journal.paused_in_a_step()]:
            try:
                lock = self.locks.acquire(record.id)
            except ExecutionLockedError:
                continue
            try:
                reached(EnginePoint.BEFORE_RECOVERY)
                if self.one(record.id):
                    reached(EnginePoint.EXECUTION_RECOVERED)
                    recovered.append(record.id)
            finally:
                self.locks.release(lock)
        return recovered

    def one(self, execution_id: str, reason: str = REASON) -> list[Event]:
        """Put one in order if that is needed; the caller holds its lock. The events of it, which nobody was told."""
        record: ExecutionRecord = self.journal.execution(execution_id)
        frozen = record.state is ExecutionState.PAUSED and self.journal.is_in_a_step(execution_id)
        if record.state not in (ExecutionState.RUNNING, ExecutionState.IDLE) and not frozen:
            return []
        steps = self.journal.steps(execution_id)
        # First, because nobody looks any more once it is paused.
        _remove_unnamed(self.journal, self.store, execution_id)
        self.logs.tidy(execution_id)
        head = self.journal.checkpoint(execution_id, record.head)
        with self.journal.transaction() as tx:
            _pause(tx, record, reason)
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
            tx.emit(execution_id, EventKind.EXECUTION_PAUSED, None, reason=reason, head=head.id)
            return tx.events


def _remove_unnamed(journal: Journal, store: LayerStore, execution_id: str) -> None:
    """Layers that were committed and whose checkpoint was never written, and those that were being written. Only who
    drives an execution makes either, and nobody does."""
    named = {checkpoint.layer for checkpoint in journal.checkpoints(execution_id)}
    volumes = [name for name in store.volumes() if name == execution_id or name.startswith(f"{execution_id}-")]
    layers = [layer for volume in volumes for layer in store.walk(volume)]
    for layer in reversed(layers):
        unnamed = layer.kind is LayerKind.COMMITTED and layer.id not in named
        if unnamed or layer.kind is LayerKind.ACTIVE:
            store.remove(LayerName(layer.id))


def _pause(tx: Transaction, record: ExecutionRecord, reason: str) -> None:
    tx.move(record.id, ExecutionState.PAUSED, reason)
    tx.set_execution(record.id, lease="")
