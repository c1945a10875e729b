"""ExecutionEngine: accepts plans, drives any number of executions at once, and answers the control verbs.

Which verb is allowed in which state is in `engine.journal.states`. An execution is driven by one asyncio task
in the one process that holds its lock; everything durable is in the journal, so when the process dies the
next one finds the execution `running` without an owner and `recover` makes it `paused`.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from engine.checkpoints import baseline
from engine.clock import Clock
from engine.errors import EngineError, WrongStateError
from engine.events.bus import EventBus
from engine.events.types import EventKind
from engine.execution.admission import accept, check_checkpoint_name, checked_secrets, workspace_root
from engine.execution.attempt import Blocking, ExecutionContext
from engine.execution.control import PauseMode, RunControl
from engine.execution.decide import Progress, estimate_left
from engine.execution.driver import Driver, disk_limit
from engine.execution.environments import Environments
from engine.execution.hide import HiddenPaths
from engine.execution.locks import ExecutionLocks
from engine.execution.masking import Masker
from engine.execution.rollback import RollbackService
from engine.execution.run import Run
from engine.execution.step import StepExecutor
from engine.execution.writer import JournalWriter
from engine.journal.journal import Journal, Transaction
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord, StepRecord
from engine.journal.states import ENDED, ROLLBACK_ALLOWED, ExecutionState, StepState
from engine.plan.model import Environment, Plan, Step
from engine.plan.parse import parse_plan
from sandbox.errors import SandboxError
from sandbox.workspace.layer import VolumeId
from sandbox.workspace.manifest import Manifest
from sandbox.workspace.store import LayerStore


@dataclass(frozen=True, slots=True)
class EngineServices:
    """What the engine works with; made by the composition root."""

    journal: Journal
    bus: EventBus
    store: LayerStore
    environments: Environments
    executor: StepExecutor
    driver: Driver
    rollback: RollbackService
    writer: JournalWriter
    locks: ExecutionLocks
    blocking: Blocking
    clock: Clock
    lease: str


class ExecutionEngine:
    """The verbs. Lives on one event loop."""

    def __init__(self, services: EngineServices) -> None:
        self._services = services
        self._journal = services.journal
        self._writer = services.writer
        self._blocking = services.blocking
        self._clock = services.clock
        self._runs: dict[str, Run] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def bus(self) -> EventBus:
        return self._services.bus

    # -- running ---------------------------------------------------------------------------------

    async def execute_plan(
        self,
        plan: Plan,
        workspace: Path,
        *,
        name: str | None = None,
        secrets: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> ExecutionRecord:
        """`start`, then `wait`."""
        return await self.wait(await self.start(plan, workspace, name=name, secrets=secrets, keep=keep))

    async def start(
        self,
        plan: Plan,
        workspace: Path,
        *,
        name: str | None = None,
        secrets: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> str:
        """Accept the plan over the directory `workspace`, start driving it, return the execution's id.

        Raises:
          NotFoundError: `workspace` is not a directory, or a secret that the plan names is not given.
          ImageNotFoundError, ImageRefusedError, SandboxUnavailableError: this machine cannot run it.
          HostDiskFullError, TreeRefusedError: the workspace cannot be laid under layers.
        """
        start_ns = time.time_ns()
        given = checked_secrets(plan, secrets or {})
        root = await self._blocking(workspace_root, workspace)
        image_id = await self._services.environments.resolve(plan.environment)
        execution_id = uuid.uuid4().hex
        lock = await self._blocking(self._services.locks.acquire, execution_id)
        try:
            context = ExecutionContext(
                execution_id,
                plan,
                root.path,
                VolumeId(execution_id),
                image_id,
                HiddenPaths(root.path),
                root.owner,
                given,
            )
            await self._blocking(self._create_volume, context)
            record = ExecutionRecord(
                id=execution_id,
                name=name or plan.name or execution_id[:12],
                state=ExecutionState.IDLE,
                plan_json=plan.to_json(),
                plan_digest=plan.digest,
                workspace=os.fspath(root.path),
                workspace_dev=root.device,
                workspace_inode=root.inode,
                start_ns=start_ns,
                create_time=self._clock.now(),
                image_id=image_id,
                lease=self._services.lease,
            )
            steps = [StepRecord(execution_id, i, s.id, s.type) for i, s in enumerate(plan.steps)]
            root_record = await self._blocking(baseline.begin, root.path)
            head = await self._writer.write(lambda tx: accept(tx, record, steps, root_record, keep))
        except BaseException:
            await self._blocking(self._abandon, VolumeId(execution_id), execution_id, lock)
            raise
        record = await self._blocking(self._journal.execution, execution_id)
        run = self._make_run(record, context, steps, head, lock, root_record)
        self._launch(run)
        return execution_id

    async def wait(self, execution_id: str) -> ExecutionRecord:
        """Return when this process no longer drives the execution."""
        task = self._tasks.get(execution_id)
        if task is not None:
            await asyncio.shield(task)
        return await self._blocking(self._journal.execution, execution_id)

    async def execute_step(
        self, step: Step, workspace: Path, *, secrets: Mapping[str, str] | None = None
    ) -> tuple[ExecutionRecord, StepRecord]:
        """Run one step alone, as a plan of one."""
        plan = Plan(version=1, name=step.id, secrets=tuple(secrets or ()), steps=(step,))
        record = await self.execute_plan(plan, workspace, secrets=secrets)
        steps = await self._blocking(self._journal.steps, record.id)
        return record, steps[0]

    async def resume(self, execution_id: str, secrets: Mapping[str, str] | None = None) -> None:
        """Go on with a paused execution from its head; returns when it is being driven.

        Raises:
          NotFoundError, WrongStateError (not paused), ExecutionLockedError (another process drives it).
          LayerCorruptError: a layer below the head is damaged.
        """
        live = self._runs.get(execution_id)
        if live is not None:
            if not live.control.pause_wanted:
                raise WrongStateError("resume", execution_id, live.record.state.value, ["paused"])
            await live.control.resume()
            return
        lock = await self._blocking(self._services.locks.acquire, execution_id)
        try:
            record = await self._blocking(self._journal.execution, execution_id)
            if record.state is not ExecutionState.PAUSED:
                raise WrongStateError("resume", execution_id, record.state.value, ["paused"])
            plan = parse_plan(record.plan_json, "the journal")
            given = checked_secrets(plan, secrets or {})
            await self._blocking(self._services.store.open_volume, VolumeId(execution_id))
            workspace = Path(record.workspace)
            root = await self._blocking(workspace_root, workspace)
            context = ExecutionContext(
                execution_id,
                plan,
                workspace,
                VolumeId(execution_id),
                record.image_id,
                HiddenPaths(workspace),
                root.owner,
                given,
            )
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
        self._launch(self._make_run(record, context, steps, head, lock, known))

    # -- control ---------------------------------------------------------------------------------

    async def pause(self, execution_id: str, mode: PauseMode = PauseMode.AFTER_STEP, reason: str = "asked for") -> None:
        """Pause an execution that this process drives; with `now` the sandbox is frozen on return. Idempotent.

        Raises:
          NotFoundError, WrongStateError: not running here.
        """
        run = await self._live(execution_id, "pause", [ExecutionState.RUNNING])
        await run.control.pause(mode, reason)

    async def cancel(self, execution_id: str, reason: str = "asked for") -> ExecutionRecord:
        """Kill what runs, discard its layer, end as `cancelled`. Idempotent; a paused execution is cancelled too.

        Raises:
          NotFoundError; WrongStateError: it has completed or failed; ExecutionLockedError: another process has it.
        """
        run = self._runs.get(execution_id)
        if run is not None:
            await run.control.cancel(reason)
            return await self.wait(execution_id)
        record = await self._blocking(self._journal.execution, execution_id)
        if record.state is ExecutionState.CANCELLED:
            return record
        if record.state in ENDED:
            raise WrongStateError("cancel", execution_id, record.state.value, ["running", "paused"])
        async with self._locked(execution_id):

            def change(tx: Transaction) -> None:
                tx.move(execution_id, ExecutionState.CANCELLED, reason)
                tx.set_execution(execution_id, end_time=tx.now, lease="")
                tx.emit(execution_id, EventKind.EXECUTION_CANCELLED, None, reason=reason, head=record.head)

            await self._writer.write(change)
        return await self._blocking(self._journal.execution, execution_id)

    async def get_progress(self, execution_id: str) -> Progress:
        """How far it is. Raises NotFoundError."""
        run = self._runs.get(execution_id)
        if run is not None:
            return run.progress(self._clock)
        record = await self._blocking(self._journal.execution, execution_id)
        steps = await self._blocking(self._journal.steps, execution_id)
        done = sum(s.state in (StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED) for s in steps)
        running = next((step for step in steps if step.state is StepState.RUNNING), None)
        left = None if record.state in ENDED else estimate_left(record.run_ms, done, len(steps))
        return Progress(
            execution_id,
            record.state,
            done,
            len(steps),
            running.id if running else None,
            running.attempts if running else 0,
            record.run_ms,
            left,
        )

    async def rollback(self, execution_id: str, to: str | None = None) -> CheckpointRecord:
        """Move the head back to checkpoint `to` (default: one back); the execution is `paused` afterwards.

        Raises:
          NotFoundError: no such execution or checkpoint. WrongStateError: it is idle or running.
          ExecutionLockedError: another process works on it.
        """
        run = self._runs.get(execution_id)
        if run is not None:
            if not run.parked:
                raise WrongStateError("roll back", execution_id, run.record.state.value, _names(ROLLBACK_ALLOWED))
            target = await self._blocking(self._services.rollback.target, execution_id, run.head, to)
            run.steps = await self._services.rollback.roll_back(
                execution_id, run.steps, target, "asked for", reopen=True
            )
            run.head = target
            return target
        async with self._locked(execution_id):
            record = await self._blocking(self._journal.execution, execution_id)
            if record.state not in ROLLBACK_ALLOWED:
                raise WrongStateError("roll back", execution_id, record.state.value, _names(ROLLBACK_ALLOWED))
            head = await self._blocking(self._journal.checkpoint, execution_id, record.head)
            target = await self._blocking(self._services.rollback.target, execution_id, head, to)
            steps = await self._blocking(self._journal.steps, execution_id)
            await self._services.rollback.roll_back(execution_id, steps, target, "asked for", reopen=True)

            def change(tx: Transaction) -> None:
                tx.move(execution_id, ExecutionState.PAUSED, f"rolled back to {target.id}")
                tx.set_execution(execution_id, end_time=None)
                if record.state is not ExecutionState.PAUSED:
                    tx.emit(
                        execution_id,
                        EventKind.EXECUTION_PAUSED,
                        None,
                        reason=f"rolled back to {target.id}",
                        head=target.id,
                    )

            await self._writer.write(change)
            return target

    async def checkpoint(self, execution_id: str, name: str) -> CheckpointRecord:
        """Give the head a name: a manual checkpoint on the same layer.

        Raises:
          NotFoundError: no such execution. EngineError: the name is taken or could be mistaken for an id.
        """
        existing = await self._blocking(self._journal.checkpoints, execution_id)
        record = await self._blocking(self._journal.execution, execution_id)
        check_checkpoint_name(name, existing)
        head = next(checkpoint for checkpoint in existing if checkpoint.id == record.head)

        def change(tx: Transaction) -> CheckpointRecord:
            made = tx.add_checkpoint(execution_id, name, CheckpointKind.MANUAL, head.layer, head.id, None)
            tx.emit(execution_id, EventKind.CHECKPOINT_CREATED, None, checkpoint=made.id, name=name, changed=False)
            return made

        return await self._writer.write(change)

    async def close(self) -> None:
        """Cancel what this process still drives and wait for its end. Idempotent."""
        for run in tuple(self._runs.values()):
            await run.control.cancel("the process that ran it is ending")
        if self._tasks:
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    # -- inside ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def _locked(self, execution_id: str) -> AsyncIterator[None]:
        """Hold the execution's lock for the block. Raises ExecutionLockedError."""
        lock = await self._blocking(self._services.locks.acquire, execution_id)
        try:
            yield
        finally:
            await self._blocking(self._services.locks.release, lock)

    def _create_volume(self, context: ExecutionContext) -> None:
        mask = context.hide.mask(context.plan.sandbox.hide)
        limit = disk_limit(context.plan.sandbox.disk)
        self._services.store.create_volume(context.volume, context.workspace, limit, mask)

    def _abandon(self, volume: VolumeId, execution_id: str, lock: int) -> None:
        """Blocking. Undo `start` when it could not finish."""
        try:
            self._services.store.remove_volume(volume)
        except SandboxError:
            # Never created, or it goes with the next clean-up: nothing names it.
            self._services.store.close_volume(volume)
        finally:
            self._services.locks.forget(execution_id)
            self._services.locks.release(lock)

    def _make_run(
        self,
        record: ExecutionRecord,
        context: ExecutionContext,
        steps: list[StepRecord],
        head: CheckpointRecord,
        lock: int,
        recorded: Iterable[bytes],
    ) -> Run:
        return Run(
            record=record,
            context=context,
            steps=steps,
            head=head,
            masker=Masker(context.secrets.values()),
            lock=lock,
            recorded=dict.fromkeys(recorded),
            needs=[step.needs for step in context.plan.steps],
            control=RunControl(),
        )

    def _launch(self, run: Run) -> None:
        self._runs[run.id] = run
        task = asyncio.create_task(self._drive(run), name=f"execution {run.id}")
        self._tasks[run.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(run.id, None))

    async def _drive(self, run: Run) -> None:
        """The task of one execution: open, drive, close; ends with the execution in an ended state."""
        driver = self._services.driver
        try:
            try:
                await self._open(run)
                await driver.drive(run)
            except (SandboxError, EngineError, OSError) as error:
                await driver.fail(run, f"{type(error).__name__}: {error}")
        finally:
            self._runs.pop(run.id, None)
            try:
                await self._blocking(self._close_volumes, run)
            finally:
                await self._blocking(self._services.locks.release, run.lock)

    async def _open(self, run: Run) -> None:
        """idle -> running, and the environment's set-up."""
        if run.record.state is ExecutionState.IDLE:

            def begin(tx: Transaction) -> None:
                tx.move(run.id, ExecutionState.RUNNING)
                tx.set_execution(run.id, start_time=tx.now)
                tx.emit(
                    run.id,
                    EventKind.EXECUTION_STARTED,
                    None,
                    name=run.record.name,
                    plan_digest=run.record.plan_digest,
                    steps=len(run.steps),
                    image=run.record.image_id,
                    workspace=run.record.workspace,
                )

            await self._writer.write(begin)
            run.record = replace(run.record, state=ExecutionState.RUNNING)
        environment = run.context.plan.environment
        if environment.setup and not run.control.cancelled:
            await self._prepare_environment(run, environment)

    async def _prepare_environment(self, run: Run, environment: Environment) -> None:
        await self._writer.write(
            lambda tx: tx.emit(run.id, EventKind.ENVIRONMENT_PREPARING, None, commands=len(environment.setup))
        )
        base = await self._services.environments.resolve(environment)
        mask = await self._blocking(run.context.hide.mask, run.context.plan.sandbox.hide) or Manifest()
        image_id = await self._services.environments.prepare(environment, base, run.context.workspace, mask.hides)
        await self._writer.write(lambda tx: tx.set_execution(run.id, image_id=image_id))
        run.context = replace(run.context, image_id=image_id)

    def _close_volumes(self, run: Run) -> None:
        """Blocking."""
        store = self._services.store
        store.close_volume(run.context.volume)
        for index in range(len(run.steps)):
            settings = run.context.plan.settings_for(run.context.plan.steps[index])
            if settings.disk_bytes != run.context.plan.sandbox.disk:
                store.close_volume(VolumeId(f"{run.context.volume}-{index}"))

    async def _live(self, execution_id: str, verb: str, allowed: Sequence[ExecutionState]) -> Run:
        run = self._runs.get(execution_id)
        if run is None:
            record = await self._blocking(self._journal.execution, execution_id)
            raise WrongStateError(verb, execution_id, record.state.value, _names(allowed))
        return run


def _names(states: Sequence[ExecutionState] | frozenset[ExecutionState]) -> list[str]:
    return sorted(state.value for state in states)
