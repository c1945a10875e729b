"""Makes the live state of an execution: of a plan that is accepted, or of a paused execution that goes on.

Whoever gets a `Run` from here holds the execution's lock through it.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.checkpoints import baseline
from engine.clock import Clock
from engine.errors import WrongStateError
from engine.events.types import EventKind
from engine.execution.admission import Root, accept, checked_secrets, workspace_root
from engine.execution.attempt import ExecutionContext
from engine.execution.environments import Environments
from engine.execution.hide import HiddenPaths
from engine.execution.locks import ExecutionLocks
from engine.execution.masking import Masker
from engine.execution.run import Run
from engine.execution.volumes import ExecutionVolumes
from engine.execution.writer import JournalWriter
from engine.journal.journal import Transaction
from engine.journal.records import CheckpointRecord, ExecutionRecord, Request, StepRecord
from engine.journal.states import ExecutionState
from engine.plan.model import Plan
from engine.plan.parse import parse_plan
from sandbox.workspace.layer import VolumeId
from sandbox.workspace.store import LayerStore


@dataclass(frozen=True, slots=True)
class OpenerServices:
    """What the opener works with; made by the composition root."""

    writer: JournalWriter
    store: LayerStore
    volumes: ExecutionVolumes
    environments: Environments
    locks: ExecutionLocks
    clock: Clock
    lease: str


class ExecutionOpener:
    """Opens executions for driving."""

    def __init__(self, services: OpenerServices) -> None:
        self._services = services
        self._writer = services.writer
        self._journal = services.writer.journal
        self._blocking = services.writer.blocking

    async def accept(
        self,
        plan: Plan,
        workspace: Path,
        *,
        name: str | None,
        secrets: Mapping[str, str],
        keep: bool,
        request: Request | None = None,
    ) -> Run:
        """A new execution in state idle. Raises as `ExecutionEngine.start`; then nothing is left of it."""
        start_ns = time.time_ns()
        given = checked_secrets(plan, secrets)
        root = await self._blocking(workspace_root, workspace)
        image_id = await self._services.environments.resolve(plan.environment)
        execution_id = uuid.uuid4().hex
        lock = await self._blocking(self._services.locks.acquire, execution_id)
        try:
            context = context_of(execution_id, plan, root, image_id, given, HiddenPaths(root.path))
            await self._blocking(self._services.volumes.create, context)
            record = self._record(context, root, name, start_ns)
            steps = [StepRecord(execution_id, i, s.id, s.type) for i, s in enumerate(plan.steps)]
            root_record = await self._blocking(baseline.begin, root.path)
            head = await self._writer.write(lambda tx: accept(tx, record, steps, root_record, keep, request))
        except BaseException:
            await self._blocking(self._abandon, VolumeId(execution_id), execution_id, lock)
            raise
        record = await self._blocking(self._journal.execution, execution_id)
        return run_of(record, context, steps, head, lock, root_record)

    async def reopen(self, execution_id: str, secrets: Mapping[str, str]) -> Run:
        """A paused execution, which is running from now on. Raises as `ExecutionEngine.resume`."""
        lock = await self._blocking(self._services.locks.acquire, execution_id)
        try:
            record = await self._blocking(self._journal.execution, execution_id)
            if record.state is not ExecutionState.PAUSED:
                raise WrongStateError("resume", execution_id, record.state.value, ["paused"])
            plan = parse_plan(record.plan_json, "the journal")
            given = checked_secrets(plan, secrets)
            await self._blocking(self._services.store.open_volume, VolumeId(execution_id))
            root = await self._blocking(workspace_root, Path(record.workspace))
            mask = await self._blocking(self._services.store.mask, VolumeId(execution_id))
            hide = HiddenPaths(root.path, {plan.sandbox.hide: mask})
            context = context_of(execution_id, plan, root, record.image_id, given, hide)
            steps = await self._blocking(self._journal.steps, execution_id)
            head = await self._blocking(self._journal.checkpoint, execution_id, record.head)

            def change(tx: Transaction) -> None:
                tx.move(execution_id, ExecutionState.RUNNING)
                tx.set_execution(execution_id, lease=self._services.lease, end_time=None)
                tx.emit(execution_id, EventKind.EXECUTION_RESUMED, None, head=head.id)

            await self._writer.write(change)
        except BaseException:
            await self._blocking(self._services.locks.release, lock)
            raise
        record = await self._blocking(self._journal.execution, execution_id)
        known = await self._blocking(self._journal.baseline, execution_id)
        return run_of(record, context, steps, head, lock, known)

    async def close(self, run: Run) -> None:
        """Close the run's volumes and give its lock back."""
        try:
            await self._blocking(self._services.volumes.close, run)
        finally:
            await self._blocking(self._services.locks.release, run.lock)

    def _record(self, context: ExecutionContext, root: Root, name: str | None, start_ns: int) -> ExecutionRecord:
        plan = context.plan
        return ExecutionRecord(
            id=context.execution_id,
            name=name or plan.name or context.execution_id[:12],
            state=ExecutionState.IDLE,
            plan_json=plan.to_json(),
            plan_digest=plan.digest,
            workspace=os.fspath(root.path),
            workspace_dev=root.device,
            workspace_inode=root.inode,
            start_ns=start_ns,
            create_time=self._services.clock.now(),
            image_id=context.image_id,
            lease=self._services.lease,
        )

    def _abandon(self, volume: VolumeId, execution_id: str, lock: int) -> None:
        """Blocking. Undo `accept` when it could not finish."""
        try:
            self._services.volumes.discard(volume)
        finally:
            self._services.locks.forget(execution_id)
            self._services.locks.release(lock)


def context_of(
    execution_id: str, plan: Plan, root: Root, image_id: str, secrets: Mapping[str, str], hide: HiddenPaths
) -> ExecutionContext:
    """What the attempts of an execution share."""
    return ExecutionContext(execution_id, plan, root.path, VolumeId(execution_id), image_id, hide, root.owner, secrets)


def run_of(
    record: ExecutionRecord,
    context: ExecutionContext,
    steps: list[StepRecord],
    head: CheckpointRecord,
    lock: int,
    recorded: Iterable[bytes],
) -> Run:
    """The live state of what the journal has. lock: the execution's, held. recorded: paths with a baseline."""
    return Run(
        record=record,
        context=context,
        steps=steps,
        head=head,
        masker=Masker(context.secrets.values()),
        lock=lock,
        recorded=dict.fromkeys(recorded),
        needs=[step.needs for step in context.plan.steps],
    )
