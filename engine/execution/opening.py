"""Makes the live state of an execution: of a plan that is accepted, or of a paused execution that goes on.

Whoever gets a `Run` from here holds the execution's lock through it.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.checkpoints import baseline
from engine.clock import Clock
from engine.errors import WrongStateError
from engine.execution.admission import Root, accept, checked_secrets, workspace_root
from engine.execution.attempt import ExecutionContext
from engine.execution.environments import Environments
from engine.execution.expected import claimants, first_specs
from engine.execution.hide import HiddenPaths
from engine.execution.locks import ExecutionLocks
from engine.execution.masking import Masker
from engine.execution.queue import ExecutionQueue, Place
from engine.execution.recovery import Recovery
from engine.execution.run import Run
from engine.execution.volumes import ExecutionVolumes
from engine.execution.writer import JournalWriter
from engine.journal.journal import Transaction
from engine.journal.records import CheckpointRecord, ExecutionRecord, Request, StepRecord
from engine.journal.states import ExecutionState
from engine.plan.model import Plan
from engine.plan.parse import parse_plan
from sandbox.errors import LayerNotFoundError
from sandbox.sandbox import SandboxProvider
from sandbox.workspace.layer import VolumeId
from sandbox.workspace.store import LayerStore


@dataclass(frozen=True, slots=True)
class OpenerServices:
    """What the opener works with; made by the composition root."""

    writer: JournalWriter
    store: LayerStore
    volumes: ExecutionVolumes
    provider: SandboxProvider
    environments: Environments
    queue: ExecutionQueue
    locks: ExecutionLocks
    clock: Clock
    lease: str
    recovery: Recovery


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
    ) -> tuple[Run, Place]:
        """A new execution in state idle, and its place in the queue; when it is its turn, its volume is open.

        Raises as `ExecutionEngine.start`; then nothing is left of it.
        """
        start_ns = time.time_ns()
        given = checked_secrets(plan, secrets)
        root = await self._blocking(workspace_root, workspace)
        image_id = await self._services.environments.resolve(plan.environment)
        execution_id = uuid.uuid4().hex
        place = self._services.queue.enter(execution_id, os.fspath(root.path), resumed=False)
        try:
            lock = await self._blocking(self._services.locks.acquire, execution_id)
        except BaseException:
            self._services.queue.leave(execution_id)
            raise
        try:
            self._foresee(execution_id, plan, image_id, place)
            context = context_of(execution_id, plan, root, image_id, given, HiddenPaths(root.path))
            base: Mapping[bytes, dict[str, Any] | None] = {}
            opened = place.granted
            if opened:
                await self._blocking(self._services.volumes.create, context)
                base = await self._blocking(baseline.begin, root.path)
            record = self._record(context, root, name, start_ns)
            steps = [StepRecord(execution_id, i, s.id, s.type) for i, s in enumerate(plan.steps)]
            position = None if opened else self._services.queue.position(execution_id)
            head = await self._writer.write(lambda tx: accept(tx, record, plan, steps, base, keep, request, position))
        except BaseException:
            self._services.queue.leave(execution_id)
            self._services.provider.expect(execution_id, ())
            await self._blocking(self._abandon, VolumeId(execution_id), execution_id, lock)
            raise
        record = await self._blocking(self._journal.execution, execution_id)
        run = run_of(record, context, steps, head, lock, base)
        run.opened = opened
        return run, place

    def _foresee(self, execution_id: str, plan: Plan, image_id: str, place: Place) -> None:
        """Have the first sandboxes started while the execution is still being accepted, when it is its turn at once."""
        if place.granted and not plan.environment.setup:
            self._services.provider.expect(execution_id, first_specs(plan, image_id))

    async def reopen(self, execution_id: str, secrets: Mapping[str, str]) -> Run:
        """A paused execution, as it stands. Raises as `ExecutionEngine.resume`."""
        lock = await self._blocking(self._services.locks.acquire, execution_id)
        try:
            await self._blocking(self._services.recovery.one, execution_id)
            record = await self._blocking(self._journal.execution, execution_id)
            if record.state is not ExecutionState.PAUSED:
                raise WrongStateError("resume", execution_id, record.state.value, ["paused"])
            plan = parse_plan(await self._blocking(self._journal.plan, execution_id), "the journal")
            given = checked_secrets(plan, secrets)
            root = await self._blocking(workspace_root, Path(record.workspace))
            hide = await self._blocking(self._hidden, execution_id, root.path, plan)
            context = context_of(execution_id, plan, root, record.image_id, given, hide)
            steps = await self._blocking(self._journal.steps, execution_id)
            head = await self._blocking(self._journal.checkpoint, execution_id, record.head)
            known = await self._blocking(self._journal.baseline, execution_id)
            await self._writer.write(lambda tx: tx.set_execution(execution_id, lease=self._services.lease))
        except BaseException:
            await self._blocking(self._services.locks.release, lock)
            raise
        return run_of(record, context, steps, head, lock, known)

    def _hidden(self, execution_id: str, workspace: Path, plan: Plan) -> HiddenPaths:
        """Blocking. What was hidden when its volume was made stays so; what waited for its turn has none yet."""
        try:
            return HiddenPaths(workspace, {plan.sandbox.hide: self._services.store.mask(VolumeId(execution_id))})
        except LayerNotFoundError:
            return HiddenPaths(workspace)

    async def open_volume(self, run: Run) -> None:
        """Have the run's volume open, made if it never was: what waited for its turn has none. Idempotent.

        Raises as `LayerStore.create_volume` and `open_volume`; NotFoundError: the workspace is gone.
        """
        if run.opened:
            return
        try:
            await self._blocking(self._services.store.open_volume, run.context.volume)
        except LayerNotFoundError:
            if run.recorded or run.head.layer is not None:
                raise
            await self._lay_volume(run)
        run.opened = True

    async def _lay_volume(self, run: Run) -> None:
        """The workspace is looked at for the first time now: what it was when the plan was accepted nobody saw."""
        start_ns = time.time_ns()
        root = await self._blocking(workspace_root, run.context.workspace)
        context = replace(run.context, owner=root.owner, hide=HiddenPaths(root.path))
        await self._blocking(self._services.volumes.create, context)
        base = await self._blocking(baseline.begin, root.path)

        def change(tx: Transaction) -> None:
            tx.set_execution(run.id, workspace_dev=root.device, workspace_inode=root.inode, start_ns=start_ns)
            tx.add_baseline(run.id, base)

        await self._writer.write(change)
        run.context = context
        run.record = replace(run.record, workspace_dev=root.device, workspace_inode=root.inode, start_ns=start_ns)
        run.recorded.update(dict.fromkeys(base))

    async def close_volume(self, run: Run) -> None:
        """Take no room while it waits: `open_volume` opens it again."""
        await self._blocking(self._services.volumes.close, run)
        run.opened = False

    async def close(self, run: Run) -> None:
        """Close the run's volumes and give its lock back; no sandbox is kept waiting for it."""
        self._services.provider.expect(run.id, ())
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
        claimants=claimants(context.plan),
    )
