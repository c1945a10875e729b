"""ExecutionEngine: accepts plans, drives any number of executions at once, and answers the control verbs.

Which verb is allowed in which state is in `engine.journal.states`. An execution is driven by one asyncio task
in the one process that holds its lock; everything durable is in the journal, so when the process dies the
next one finds the execution `running` without an owner and `recover` makes it `paused`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from engine.clock import Clock
from engine.errors import EngineClosingError, WrongStateError
from engine.events.bus import EventBus
from engine.events.types import EventKind
from engine.execution.admission import check_checkpoint_name
from engine.execution.control import PauseMode
from engine.execution.decide import Progress, estimate_left, printed_bytes, steps_done
from engine.execution.forking import Forker
from engine.execution.locks import ExecutionLocks, OneAtATime
from engine.execution.opening import ExecutionOpener
from engine.execution.pausing import PauseKeeper
from engine.execution.queue import ExecutionQueue, Load
from engine.execution.recovery import Recovery
from engine.execution.rollback import RollbackService
from engine.execution.run import Run
from engine.execution.supervision import RunSupervisor
from engine.execution.writer import JournalWriter
from engine.journal.journal import Transaction
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord, Request, StepRecord
from engine.journal.states import ENDED, PAUSE_ALLOWED, ROLLBACK_ALLOWED, ExecutionState, StepState
from engine.plan.model import Plan, Step


@dataclass(frozen=True, slots=True)
class EngineServices:
    """What the engine works with; made by the composition root."""

    writer: JournalWriter
    opener: ExecutionOpener
    forker: Forker
    supervisor: RunSupervisor
    pauses: PauseKeeper
    queue: ExecutionQueue
    rollback: RollbackService
    locks: ExecutionLocks
    clock: Clock
    recovery: Recovery


class CloseMode(StrEnum):
    """What becomes of the executions that are driven when the engine closes."""

    CANCEL = "cancel"
    PAUSE = "pause"


class ExecutionEngine:
    """The verbs. Lives on one event loop."""

    def __init__(self, services: EngineServices) -> None:
        self._writer = services.writer
        self._journal = services.writer.journal
        self._blocking = services.writer.blocking
        self._opener = services.opener
        self._forker = services.forker
        self._supervisor = services.supervisor
        self._rollback = services.rollback
        self._locks = services.locks
        self._recovery = services.recovery
        self._clock = services.clock
        self._pauses = services.pauses
        self._queue = services.queue
        self._unled = OneAtATime()
        self._closing = ""

    @property
    def bus(self) -> EventBus:
        return self._writer.bus

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
        request: Request | None = None,
    ) -> str:
        """Accept the plan over the directory `workspace` and return the execution's id: it is driven from now on, or
        waits, `idle`, for its turn. What waits takes no disk; what is wrong with the workspace then fails it later.

        request: remembered in the transaction that accepts the plan.

        Raises:
          QueueFullError: too many wait already. EngineClosingError.
          NotFoundError: `workspace` is not a directory, or a secret that the plan names is not given.
          ImageNotFoundError, ImageRefusedError, SandboxUnavailableError: this machine cannot run it.
          HostDiskFullError, TreeRefusedError: the workspace cannot be laid under layers.
        """
        self._refuse_when_closing()
        run, place = await self._opener.accept(
            plan, workspace, name=name, secrets=secrets or {}, keep=keep, request=request
        )
        self._supervisor.launch(run, place)
        return run.id

    @property
    def load(self) -> Load:
        """How much this process is doing."""
        return self._queue.load

    def drives(self, execution_id: str) -> bool:
        """Whether this process drives the execution now, or will when it is its turn."""
        return self._supervisor.find(execution_id) is not None

    async def fork(
        self,
        execution_id: str,
        checkpoint: str,
        *,
        plan: Plan | None = None,
        name: str | None = None,
        secrets: Mapping[str, str] | None = None,
        keep: bool = False,
        request: Request | None = None,
    ) -> str:
        """Start a second execution from any checkpoint (id or name) of a first in any state; returns its id.

        plan: None for the origin's, of which the steps whose effect is below the checkpoint do not run again; of
        another plan all steps run. name: default the plan's. What was read of the project for the origin (start
        time, identity, baseline, what is hidden) counts for the fork, so that an apply of it finds the same conflicts.
        No byte of project or layers is copied.

        Raises:
          NotFoundError: no such execution or checkpoint, or it is being removed. WrongStateError: the origin has
            never had its turn. And as `start`.
        """
        self._refuse_when_closing()
        origin = await self._blocking(self._journal.execution, execution_id)
        fork_id = uuid.uuid4().hex
        place = self._queue.enter(fork_id, origin.workspace, resumed=False)
        try:
            run = await self._forker.fork(
                execution_id,
                checkpoint,
                plan=plan,
                name=name,
                secrets=secrets or {},
                keep=keep,
                request=request,
                fork_id=fork_id,
            )
        except BaseException:
            self._queue.leave(fork_id)
            raise
        if not place.granted:
            await self._opener.close_volume(run)
        self._supervisor.launch(run, place)
        return run.id

    async def wait(self, execution_id: str) -> ExecutionRecord:
        """Return when this process no longer drives the execution."""
        await self._supervisor.wait(execution_id)
        return await self._blocking(self._journal.execution, execution_id)

    async def execute_step(
        self, step: Step, workspace: Path, *, secrets: Mapping[str, str] | None = None
    ) -> tuple[ExecutionRecord, StepRecord]:
        """Run one step alone, as a plan of one."""
        plan = Plan(version=1, name=step.id, secrets=tuple(secrets or ()), steps=(step,))
        record = await self.execute_plan(plan, workspace, secrets=secrets)
        steps = await self._blocking(self._journal.steps, record.id)
        return record, steps[0]

    async def resume(self, execution_id: str, secrets: Mapping[str, str] | None = None) -> ExecutionRecord:
        """Go on with a paused execution: from its head, or where its sandbox was frozen.

        It is `running` on return, or `idle` when it must wait for its turn (it comes before those that never ran).
        A pause that has not taken effect yet is taken back.

        Raises:
          NotFoundError, WrongStateError (not paused), ExecutionLockedError (another process drives it).
          LayerCorruptError: a layer below the head is damaged. QueueFullError, EngineClosingError.
        """
        self._refuse_when_closing()
        async with self._unled.alone(execution_id):
            run = await self._find_live(execution_id) or await self._lead(execution_id, secrets or {})
            await self._pauses.resume(run)
            return run.record

    async def _lead(self, execution_id: str, secrets: Mapping[str, str]) -> Run:
        """Drive a paused execution that nobody drives, from a hold on which it waits to be resumed."""
        run = await self._opener.reopen(execution_id, secrets)
        try:
            if self._queue.has_room:
                await self._opener.open_volume(run)
            self._queue.check_room()
        except BaseException:
            await self._opener.close(run)
            raise
        self._supervisor.launch(run)
        return run

    # -- control ---------------------------------------------------------------------------------

    async def pause(
        self, execution_id: str, mode: PauseMode = PauseMode.AFTER_STEP, reason: str = "asked for"
    ) -> ExecutionRecord:
        """Pause an execution that this process drives, or that waits here for its turn.

        `now`: its sandbox is frozen and the journal says `paused` when this returns; an attempt that was just ending
        is written down first. `after_step`: the running step ends first; the record returned may still be `running`.
        In a wait for the next attempt both take effect at once; while the environment is set up, when that is done.
        Idempotent: a paused execution stays as it is; `now` outdoes an `after_step` that has not taken effect.

        Raises:
          NotFoundError; WrongStateError: it has ended; ExecutionLockedError: another process drives it.
          SandboxUnavailableError: the sandbox cannot be frozen; it goes on.
        """
        run = await self._find_live(execution_id)
        if run is None:
            async with self._unled.alone(execution_id):
                run = await self._find_live(execution_id)
                if run is None:
                    return await self._pause_unled(execution_id)
        await self._pauses.pause(run, mode, reason)
        return await self._blocking(self._journal.execution, execution_id)

    async def _pause_unled(self, execution_id: str) -> ExecutionRecord:
        record: ExecutionRecord = await self._blocking(self._journal.execution, execution_id)
        if record.state in ENDED:
            raise WrongStateError("pause", execution_id, record.state.value, _names(PAUSE_ALLOWED))
        if record.state is ExecutionState.PAUSED:
            return record
        # Nobody drives it if the lock can be had: then it is paused with that.
        async with self._locked(execution_id):
            return await self._blocking(self._journal.execution, execution_id)

    async def cancel(self, execution_id: str, reason: str = "asked for") -> ExecutionRecord:
        """Kill what runs, discard its layer, end as `cancelled`. Idempotent; from any state that is not an end.

        Raises:
          NotFoundError; WrongStateError: it has completed or failed; ExecutionLockedError: another process has it.
        """
        found = await self._live_or(execution_id, lambda unled: self._cancel_unled(unled, reason))
        if not isinstance(found, Run):
            return found
        await found.control.cancel(reason)
        await self._supervisor.wait(execution_id)
        async with self._unled.alone(execution_id):
            return await self._cancel_unled(execution_id, reason)

    async def _cancel_unled(self, execution_id: str, reason: str) -> ExecutionRecord:
        record: ExecutionRecord = await self._blocking(self._journal.execution, execution_id)
        if record.state is ExecutionState.CANCELLED:
            return record
        if record.state in ENDED:
            raise WrongStateError("cancel", execution_id, record.state.value, _names(PAUSE_ALLOWED))
        async with self._locked(execution_id):

            def change(tx: Transaction) -> None:
                tx.move(execution_id, ExecutionState.CANCELLED, reason)
                tx.set_execution(execution_id, end_time=tx.now, lease="")
                tx.emit(execution_id, EventKind.EXECUTION_CANCELLED, None, reason=reason, head=record.head)

            await self._writer.write(change)
            return await self._blocking(self._journal.execution, execution_id)

    async def get_progress(self, execution_id: str) -> Progress:
        """How far it is; with what the running attempt has used so far when it runs in this process.

        Raises NotFoundError.
        """
        run = self._supervisor.find(execution_id)
        if run is not None:
            disk_bytes = await self._blocking(run.meter.disk) if run.meter is not None else None
            return run.progress(self._clock, self._queue.position(execution_id), disk_bytes)
        return await self._blocking(self._written_progress, execution_id)

    def _written_progress(self, execution_id: str) -> Progress:
        """Blocking. What the journal has of it, at one look."""
        record = self._journal.execution(execution_id)
        steps = self._journal.steps(execution_id)
        done = steps_done(steps)
        running = next((step for step in steps if step.state is StepState.RUNNING), None)
        elapsed = self._journal.elapsed_ms(record)
        left = None if record.state in ENDED else estimate_left(elapsed, done, len(steps))
        return Progress(
            execution_id,
            record.state,
            done,
            len(steps),
            running.id if running else None,
            running.attempts if running else 0,
            elapsed,
            left,
            output_bytes=printed_bytes(steps, running.id if running else None),
        )

    async def rollback(
        self, execution_id: str, to: str | None = None, *, request: Request | None = None
    ) -> CheckpointRecord:
        """Move the head back to checkpoint `to` (default: one back); the execution is `paused` afterwards.

        An attempt that is frozen is killed and leaves no trace.

        Raises:
          NotFoundError: no such execution or checkpoint. WrongStateError: it is idle or running.
          ExecutionLockedError: another process works on it.
        """
        async with self._unled.alone(execution_id):
            run = await self._find_live(execution_id)
            if run is not None:
                return await self._roll_back_live(run, to, request)
            return await self._roll_back_unled(execution_id, to, request)

    async def _roll_back_unled(self, execution_id: str, to: str | None, request: Request | None) -> CheckpointRecord:
        async with self._locked(execution_id):
            record, target, steps = await self._blocking(self._before_rollback, execution_id, to)
            reason = f"rolled back to {target.id}"

            def pause(tx: Transaction) -> None:
                tx.move(execution_id, ExecutionState.PAUSED, reason)
                tx.set_execution(execution_id, end_time=None)
                if record.state is not ExecutionState.PAUSED:
                    tx.emit(execution_id, EventKind.EXECUTION_PAUSED, None, reason=reason, head=target.id)

            await self._rollback.roll_back(
                execution_id, steps, target, "asked for", reopen=True, request=request, also=pause
            )
            return target

    def _before_rollback(
        self, execution_id: str, to: str | None
    ) -> tuple[ExecutionRecord, CheckpointRecord, list[StepRecord]]:
        """Blocking, at one look: the execution, where it goes back to, and its steps."""
        record = self._journal.execution(execution_id)
        if record.state not in ROLLBACK_ALLOWED:
            raise WrongStateError("roll back", execution_id, record.state.value, _names(ROLLBACK_ALLOWED))
        target = self._rollback.target(execution_id, record.head, to)
        return record, target, self._journal.steps(execution_id)

    async def _roll_back_live(self, run: Run, to: str | None, request: Request | None) -> CheckpointRecord:
        async with run.verbs:
            if run.record.state is not ExecutionState.PAUSED:
                raise WrongStateError("roll back", run.id, run.record.state.value, _names(ROLLBACK_ALLOWED))
            target = await self._blocking(self._rollback.target, run.id, run.head.id, to)
            await self._pauses.stand_still(run)
            run.steps = await self._rollback.roll_back(
                run.id, run.steps, target, "asked for", reopen=True, request=request
            )
            run.head = target
            run.record = replace(run.record, head=target.id)
            return target

    async def checkpoint(self, execution_id: str, name: str, *, request: Request | None = None) -> CheckpointRecord:
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
            if request is not None:
                tx.remember(request, execution_id, made.id)
            return made

        return await self._writer.write(change)

    async def close(
        self, reason: str = "the process that ran it is ending", mode: CloseMode = CloseMode.CANCEL
    ) -> None:
        """Stop driving what this process still drives and wait until nothing of it runs. Idempotent.

        cancel: all of it ends as `cancelled`. pause: all of it is left `paused` with `reason` (what is paused already
        keeps its own); attempts under way leave no trace, and `resume`, here or in another process, makes them again.
        Nothing is started or resumed any more from now on.
        """
        self._closing = reason
        runs = tuple(self._supervisor)
        if mode is CloseMode.PAUSE:
            stops = [run.control.leave(reason) for run in runs]
        else:
            stops = [run.control.cancel(reason) for run in runs]
        outcomes = await asyncio.gather(*stops, return_exceptions=True)
        await self._supervisor.wait_all()
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    # -- inside ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def _locked(self, execution_id: str) -> AsyncIterator[None]:
        """Hold the lock of an execution that nobody drives for the block. Raises ExecutionLockedError."""
        lock = await self._blocking(self._locks.acquire, execution_id)
        try:
            await self._blocking(self._recovery.one, execution_id)
            yield
        finally:
            await self._blocking(self._locks.release, lock)

    async def _live_or(
        self, execution_id: str, unled: Callable[[str], Awaitable[ExecutionRecord]]
    ) -> Run | ExecutionRecord:
        """The run, while this process drives it; else what `unled` makes of an execution that nobody drives.

        A run is not waited for behind other verbs: what is to stop it must reach it at once.
        """
        run = await self._find_live(execution_id)
        if run is not None:
            return run
        async with self._unled.alone(execution_id):
            return await self._find_live(execution_id) or await unled(execution_id)

    async def _find_live(self, execution_id: str) -> Run | None:
        """The run, while this process drives it; what has come to its end is waited for."""
        run = self._supervisor.find(execution_id)
        if run is not None and (run.record.state in ENDED or run.control.leaving):
            await self._supervisor.wait(execution_id)
            return None
        return run

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise EngineClosingError(self._closing)


def _names(states: Sequence[ExecutionState] | frozenset[ExecutionState]) -> list[str]:
    return sorted(state.value for state in states)
