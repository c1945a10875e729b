"""RollbackService: the only code that moves a head backwards.

A rollback is a row and some step states: its cost does not depend on the size of the workspace. What is above
the new head stays in the store, reachable by its checkpoints, until gc.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from engine.errors import NotFoundError
from engine.events.types import EventKind
from engine.execution.decide import redone_steps, undone_steps
from engine.execution.writer import JournalWriter
from engine.failpoints import EnginePoint
from engine.journal.journal import Transaction, checkpoint_among
from engine.journal.records import CheckpointKind, CheckpointRecord, Request, StepRecord
from engine.journal.states import StepState
from sandbox.failpoints import reached


class RollbackService:
    """Moves heads; used by the driver on failure and by people through the engine."""

    def __init__(self, writer: JournalWriter) -> None:
        self._writer = writer

    def target(self, execution_id: str, head: str, to: str | None) -> CheckpointRecord:
        """The checkpoint to go back to: `to`, or the one before the one with the id `head`. Blocking.

        Raises:
          NotFoundError: no such checkpoint, none before the start, or it is a failed attempt's.
        """
        records = self._writer.journal.checkpoints(execution_id)
        if to is None:
            parent = checkpoint_among(records, head).parent
            if parent is None:
                text = f"execution {execution_id} is at its start ({head}): nothing is before that"
                raise NotFoundError("earlier checkpoint", execution_id, message=text)
            return checkpoint_among(records, parent)
        found = checkpoint_among(records, to)
        if found.kind is CheckpointKind.FAILED:
            text = f"checkpoint {found.id} is what a failed attempt left: an execution cannot go on from there"
            raise NotFoundError("earlier checkpoint", execution_id, message=text)
        return found

    def start(self, execution_id: str, _: str | None = None) -> CheckpointRecord:
        """Where the execution started. Blocking."""
        return self._writer.journal.checkpoints(execution_id)[0]

    def after_step(self, execution_id: str, step_id: str | None) -> CheckpointRecord:
        """The checkpoint that step `step_id` left last; the start when it has left none. Blocking."""
        records = self._writer.journal.checkpoints(execution_id)
        left = [r for r in records if r.step_id == step_id and r.kind is CheckpointKind.AUTOMATIC and r.number]
        return left[-1] if left else records[0]

    async def roll_back(
        self,
        execution_id: str,
        steps: list[StepRecord],
        target: CheckpointRecord,
        reason: str,
        *,
        reopen: bool,
        request: Request | None = None,
        also: Callable[[Transaction], None] = lambda _: None,
    ) -> list[StepRecord]:
        """Move the head to `target`; returns the steps as they are afterwards.

        Steps whose effect is no longer below the head become `rolled_back`. With `reopen` (by hand) those whose effect
        is below it again have succeeded, and other failed and skipped steps become `pending`, so that a resume runs
        them again.
        Emits rollback-started and rollback-completed. also: further writes of the same transaction.
        """
        over = {step.index for step in steps if reopen and step.state in (StepState.FAILED, StepState.SKIPPED)}

        def change(tx: Transaction) -> tuple[set[int], dict[int, str], set[int]]:
            checkpoints = tx.checkpoints(execution_id)
            undone = {step.index for step in undone_steps(steps, checkpoints, target.id)}
            redone = redone_steps(steps, checkpoints, target.id) if reopen else {}
            reopened = over - redone.keys()
            tx.emit(execution_id, EventKind.ROLLBACK_STARTED, None, to=target.id, name=target.name, reason=reason)
            for index in undone:
                tx.move_step(execution_id, index, StepState.ROLLED_BACK)
            for index, checkpoint in redone.items():
                tx.move_step(execution_id, index, StepState.SUCCEEDED, checkpoint=checkpoint)
            for index in reopened:
                tx.move_step(execution_id, index, StepState.PENDING)
            tx.set_execution(execution_id, head=target.id)
            tx.emit(
                execution_id,
                EventKind.ROLLBACK_COMPLETED,
                None,
                head=target.id,
                rolled_back=[step.id for step in steps if step.index in undone],
            )
            if request is not None:
                tx.remember(request, execution_id, target.id)
            also(tx)
            return undone, redone, reopened

        reached(EnginePoint.BEFORE_ROLLBACK)
        undone, redone, reopened = await self._writer.write(change)
        reached(EnginePoint.AFTER_ROLLBACK)
        return [
            replace(step, state=StepState.ROLLED_BACK)
            if step.index in undone
            else replace(step, state=StepState.SUCCEEDED, checkpoint=redone[step.index])
            if step.index in redone
            else replace(step, state=StepState.PENDING)
            if step.index in reopened
            else step
            for step in steps
        ]
