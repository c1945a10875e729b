"""Makes forks: second executions that start from any checkpoint of a first, whatever state that is in.

Nothing is copied: the fork's volume holds one empty layer that stands on the checkpoint's layer in the volume where
that was written. While that layer is there the store keeps everything below it and opens it with the fork; so the
origin may be removed, and what the fork needs stays until the fork goes. The commit point is the journal's
transaction with the fork's rows: what a kill leaves before it is a volume that no execution owns (`unowned`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.clock import Clock
from engine.errors import NotFoundError, WrongStateError
from engine.events.types import Event, EventKind
from engine.execution.admission import START, checked_secrets, workspace_root
from engine.execution.decide import ancestry
from engine.execution.environments import Environments
from engine.execution.hide import HiddenPaths, together
from engine.execution.locks import ExecutionLocks
from engine.execution.logs import LogStore
from engine.execution.opening import context_of, run_of
from engine.execution.run import Run
from engine.execution.volumes import ExecutionVolumes, disk_limit
from engine.execution.writer import JournalWriter
from engine.failpoints import EnginePoint
from engine.journal.journal import Transaction
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord, Request, StepRecord
from engine.journal.states import ExecutionState, StepState
from engine.plan.model import Plan
from engine.plan.parse import parse_plan
from sandbox.errors import LayerNotFoundError
from sandbox.failpoints import reached
from sandbox.workspace.layer import LayerKey, LayerName, VolumeId
from sandbox.workspace.store import LayerStore

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class _Source:
    """What is forked. line: the checkpoint and all below it, nearest first."""

    record: ExecutionRecord
    plan_json: str
    line: list[CheckpointRecord]
    steps: list[StepRecord]

    @property
    def point(self) -> CheckpointRecord:
        return self.line[0]


@dataclass(frozen=True, slots=True)
class ForkerServices:
    """What the forker works with; made by the composition root."""

    writer: JournalWriter
    store: LayerStore
    volumes: ExecutionVolumes
    environments: Environments
    locks: ExecutionLocks
    logs: LogStore
    clock: Clock
    lease: str


class Forker:
    """Makes forks, for the supervisor to drive."""

    def __init__(self, services: ForkerServices) -> None:
        self._services = services
        self._writer = services.writer
        self._journal = services.writer.journal
        self._blocking = services.writer.blocking
        self._store = services.store

    async def fork(
        self,
        execution_id: str,
        checkpoint: str,
        *,
        plan: Plan | None,
        name: str | None,
        secrets: Mapping[str, str] | None,
        keep: bool,
        fork_id: str,
        request: Request | None = None,
    ) -> Run:
        """A new execution `fork_id` in state idle, with its volume open.

        Raises as `ExecutionEngine.fork`; then nothing is left of it.
        """
        making = asyncio.ensure_future(
            self._fork(execution_id, checkpoint, plan, name, secrets or {}, keep, request, fork_id)
        )
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            # Half of it may be under way in a worker thread; nobody will ever ask for it.
            made = await making
            await self._writer.write(lambda tx: tx.delete_execution(made.id))
            await self._blocking(self._abandon, made.id, made.lock)
            raise

    async def _fork(
        self,
        execution_id: str,
        checkpoint: str,
        plan: Plan | None,
        name: str | None,
        given: Mapping[str, str],
        keep: bool,
        request: Request | None,
        fork_id: str,
    ) -> Run:
        source = await self._blocking(self._source, execution_id, checkpoint)
        followed = plan or parse_plan(source.plan_json, "the journal")
        given = checked_secrets(followed, given)
        root = await self._blocking(workspace_root, Path(source.record.workspace))
        # The origin's own image, also when the name that its plan gives means another one by now.
        image_id = source.record.image_id if plan is None else await self._resolved(plan)
        record = self._record(fork_id, source, followed, name, image_id)
        lock = await self._blocking(self._services.locks.acquire, record.id)
        try:
            layer, hide = await self._blocking(self._stand, record, source, followed, root.path)
            steps = await self._blocking(self._steps, record.id, source, plan)
            reached(EnginePoint.BEFORE_FORK_ROW)
            head = await self._writer.write(
                lambda tx: _accept(tx, record, followed, source, steps, layer, keep, request)
            )
            reached(EnginePoint.AFTER_FORK_ROW)
        except BaseException:
            await self._blocking(self._abandon, record.id, lock)
            raise
        context = context_of(record.id, followed, root, image_id, given, hide)
        recorded = await self._blocking(self._journal.baseline, record.id)
        record = await self._blocking(self._journal.execution, record.id)
        run = run_of(record, context, steps, head, lock, recorded)
        run.opened = True
        return run

    async def _resolved(self, plan: Plan) -> str:
        return await self._services.environments.resolve(plan.environment)

    def _source(self, execution_id: str, checkpoint: str) -> _Source:
        """Blocking. Raises NotFoundError; WrongStateError: nothing of the project has been read for it yet."""
        record = self._journal.execution(execution_id)
        if not self._journal.baseline(execution_id):
            others = sorted(state.value for state in ExecutionState if state is not ExecutionState.IDLE)
            raise WrongStateError("fork", execution_id, record.state.value, others)
        point = self._journal.checkpoint(execution_id, checkpoint)
        line = ancestry(self._journal.checkpoints(execution_id), point.id)
        return _Source(record, self._journal.plan(execution_id), line, self._journal.steps(execution_id))

    def _record(self, fork_id: str, source: _Source, plan: Plan, name: str | None, image_id: str) -> ExecutionRecord:
        return ExecutionRecord(
            id=fork_id,
            name=name or plan.name or fork_id[:12],
            state=ExecutionState.IDLE,
            plan_digest=plan.digest,
            workspace=source.record.workspace,
            workspace_dev=source.record.workspace_dev,
            workspace_inode=source.record.workspace_inode,
            start_ns=source.record.start_ns,
            create_time=self._services.clock.now(),
            image_id=image_id,
            lease=self._services.lease,
            forked_from=f"{source.record.id}:{source.point.id}",
        )

    def _stand(
        self, record: ExecutionRecord, source: _Source, plan: Plan, workspace: Path
    ) -> tuple[LayerName | None, HiddenPaths]:
        """Blocking. Make the fork's volume and the layer that it starts from; none when the checkpoint is the base.

        Raises NotFoundError: the origin, or this part of it, was removed meanwhile.
        """
        volume = VolumeId(record.id)
        try:
            mask = self._store.mask(VolumeId(source.record.id))
            if plan.to_json() != source.plan_json:
                # What the origin hid stays hidden: its layers were made without it.
                mask = together(mask, HiddenPaths(workspace).mask(plan.sandbox.hide))
            below = self._content(source.point.layer)
            with ExitStack() as stack:
                if below is not None:
                    stack.enter_context(self._store.using(self._store.stat(below).volume))
                self._store.create_volume(volume, workspace, disk_limit(plan.sandbox.disk), mask)
                layer = None if below is None else self._put_on(below, volume)
        except LayerNotFoundError as error:
            raise NotFoundError("checkpoint", f"{source.record.id}:{source.point.id}") from error
        return layer, HiddenPaths(workspace, {plan.sandbox.hide: mask})

    def _content(self, layer: LayerName | None) -> LayerName | None:
        """The nearest layer from `layer` down that changed something, so that forks of forks stand on no more volumes
        than they have content in."""
        while layer is not None and (found := self._store.stat(layer)).empty:
            layer = found.parent
        return layer

    def _put_on(self, below: LayerName, volume: VolumeId) -> LayerName:
        """An empty layer of `volume` on top of `below`."""
        key, name = LayerKey(f"a-{secrets.token_hex(12)}"), LayerName(f"l-{secrets.token_hex(12)}")
        self._store.prepare(key, below, volume)
        self._store.commit(key, name)
        return name

    def _steps(self, execution_id: str, source: _Source, plan: Plan | None) -> list[StepRecord]:
        """Blocking. The fork's steps; those that are done bring their logs along."""
        if plan is not None:
            return [StepRecord(execution_id, index, step.id, step.type) for index, step in enumerate(plan.steps)]
        steps = []
        for step in source.steps:
            done, left_by = inherited(step, source.line)
            if done is None and left_by is not None:
                done = outcome_told(step, left_by, self._events(source.record.id))
            if done is None:
                steps.append(StepRecord(execution_id, step.index, step.id, step.type))
            else:
                steps.append(replace(done, execution_id=execution_id, state=StepState.SUCCEEDED, checkpoint=START))
        self._services.logs.inherit(source.record.id, execution_id, {step.index: step.attempts for step in steps})
        return steps

    def _events(self, execution_id: str) -> Iterator[Event]:
        last = 0
        while page := self._journal.events(execution_id, last, _PAGE):
            yield from page
            last = page[-1].sequence

    def _abandon(self, execution_id: str, lock: int) -> None:
        """Blocking. Undo what there is of a fork that is not recorded."""
        try:
            self._services.logs.remove(execution_id)
            self._services.volumes.discard(VolumeId(execution_id))
        finally:
            self._services.locks.forget(execution_id)
            self._services.locks.release(lock)


def _accept(
    tx: Transaction,
    record: ExecutionRecord,
    plan: Plan,
    source: _Source,
    steps: list[StepRecord],
    layer: LayerName | None,
    keep: bool,
    request: Request | None,
) -> CheckpointRecord:
    """All rows of the fork, and that the request for it took effect, if the checkpoint is still there."""
    if source.point not in tx.checkpoints(source.record.id):
        raise NotFoundError("checkpoint", f"{source.record.id}:{source.point.id}")
    tx.add_execution(record, plan.to_json(), steps)
    tx.copy_baseline(source.record.id, record.id)
    if keep:
        tx.set_execution(record.id, kept=1)
    head = tx.add_checkpoint(record.id, "start", CheckpointKind.AUTOMATIC, layer, None)
    tx.emit(
        record.id,
        EventKind.EXECUTION_FORKED,
        None,
        origin=source.record.id,
        origin_name=source.record.name,
        checkpoint=source.point.id,
        done=[step.id for step in steps if step.state is StepState.SUCCEEDED],
    )
    if request is not None:
        tx.remember(request, record.id)
    return head


def inherited(step: StepRecord, line: Sequence[CheckpointRecord]) -> tuple[StepRecord | None, CheckpointRecord | None]:
    """What a step of the origin comes to at the head of `line` (nearest first): its row when that tells how the step
    ended there, else the checkpoint that it left there. Both None: its effect is not below. Pure.

    What a failed attempt changed may be below; the step has not succeeded by that, and runs again.
    """
    left_by = next(
        (point for point in line if point.step_id == step.id and point.kind is CheckpointKind.AUTOMATIC), None
    )
    sound = {point.id for point in line if point.kind is not CheckpointKind.FAILED}
    if step.state in (StepState.SUCCEEDED, StepState.ROLLED_BACK) and step.checkpoint in sound:
        return step, left_by
    return None, left_by


def outcome_told(step: StepRecord, left: CheckpointRecord, events: Iterator[Event]) -> StepRecord:
    """How `step`, which ran again later, ended when it left the checkpoint `left`, as far as events tell. Pure."""
    attempts, found = 1, False
    data: Mapping[str, Any] = {}
    for event in events:
        if event.step_id != step.id:
            continue
        if event.kind is EventKind.STEP_STARTED:
            attempts = int(event.data.get("attempt", 1))
        elif event.kind is EventKind.CHECKPOINT_CREATED:
            found = event.data.get("checkpoint") == left.id
        elif event.kind is EventKind.STEP_COMPLETED and found:
            data = event.data
            break
    columns = {
        name: data[name] for name in ("exit_code", "verdict", "detail", "duration_ms", "overhead_ms") if name in data
    }
    return replace(StepRecord(step.execution_id, step.index, step.id, step.type), attempts=attempts, **columns)
