"""ExecutionEngine: accepts plans, drives any number of executions at once, and answers the control verbs.

Which verb is allowed in which state is in `engine.journal.states`. An execution is driven by one asyncio task
in the one process that holds its lock; everything durable is in the journal, so when the process dies the
next one finds the execution `running` without an owner and `recover` makes it `paused`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.clock import Clock
from engine.errors import WrongStateError
from engine.events.bus import EventBus
from engine.events.types import EventKind
from engine.execution.admission import check_checkpoint_name
from engine.execution.control import PauseMode
from engine.execution.decide import Progress, estimate_left
from engine.execution.forking import Forker
from engine.execution.locks import ExecutionLocks
from engine.execution.opening import ExecutionOpener
from engine.execution.rollback import RollbackService
from engine.execution.run import Run
from engine.execution.supervision import RunSupervisor
from engine.execution.writer import JournalWriter
from engine.journal.journal import Transaction
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord, Request, StepRecord
from engine.journal.states import ENDED, ROLLBACK_ALLOWED, ExecutionState, StepState
from engine.plan.model import Plan, Step


@dataclass(frozen=True, slots=True)
class EngineServices:
    """What the engine works with; made by the composition root."""

    writer: JournalWriter
    opener: ExecutionOpener
    forker: Forker
    supervisor: RunSupervisor
    rollback: RollbackService
    locks: ExecutionLocks
    clock: Clock


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
        self._clock = services.clock

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
        """Accept the plan over the directory `workspace`, start driving it, return the execution's id.

        request: remembered in the transaction that accepts the plan.

        Raises:
          NotFoundError: `workspace` is not a directory, or a secret that the plan names is not given.
          ImageNotFoundError, ImageRefusedError, SandboxUnavailableError: this machine cannot run it.
          HostDiskFullError, TreeRefusedError: the workspace cannot be laid under layers.
        """
        run = await self._opener.accept(plan, workspace, name=name, secrets=secrets or {}, keep=keep, request=request)
        self._supervisor.launch(run)
        return run.id

    def drives(self, execution_id: str) -> bool:
        """Whether this process drives the execution now."""
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
          NotFoundError: no such execution or checkpoint, or it is being removed. And as `start`.
        """
        run = await self._forker.fork(
            execution_id, checkpoint, plan=plan, name=name, secrets=secrets or {}, keep=keep, request=request
        )
        self._supervisor.launch(run)
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

    async def resume(self, execution_id: str, secrets: Mapping[str, str] | None = None) -> None:
        """Go on with a paused execution from its head; returns when it is being driven.

        Raises:
          NotFoundError, WrongStateError (not paused), ExecutionLockedError (another process drives it).
          LayerCorruptError: a layer below the head is damaged.
        """
        live = self._supervisor.find(execution_id)
        if live is not None:
            if not live.control.pause_wanted:
                raise WrongStateError("resume", execution_id, live.record.state.value, ["paused"])
            await live.control.resume()
            return
        self._supervisor.launch(await self._opener.reopen(execution_id, secrets or {}))

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
        run = self._supervisor.find(execution_id)
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
        run = self._supervisor.find(execution_id)
        if run is not None:
            return run.progress(self._clock)
        record = await self._blocking(self._journal.execution, execution_id)
        steps = await self._blocking(self._journal.steps, execution_id)
        done = sum(s.state in (StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED) for s in steps)
        running = next((step for step in steps if step.state is StepState.RUNNING), None)
        elapsed = await self._blocking(self._journal.elapsed_ms, record)
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
        )

    async def rollback(
        self, execution_id: str, to: str | None = None, *, request: Request | None = None
    ) -> CheckpointRecord:
        """Move the head back to checkpoint `to` (default: one back); the execution is `paused` afterwards.

        Raises:
          NotFoundError: no such execution or checkpoint. WrongStateError: it is idle or running.
          ExecutionLockedError: another process works on it.
        """
        run = self._supervisor.find(execution_id)
        if run is not None:
            if not run.parked:
                raise WrongStateError("roll back", execution_id, run.record.state.value, _names(ROLLBACK_ALLOWED))
            target = await self._blocking(self._rollback.target, execution_id, run.head, to)
            run.steps = await self._rollback.roll_back(
                execution_id, run.steps, target, "asked for", reopen=True, request=request
            )
            run.head = target
            return target
        async with self._locked(execution_id):
            record = await self._blocking(self._journal.execution, execution_id)
            if record.state not in ROLLBACK_ALLOWED:
                raise WrongStateError("roll back", execution_id, record.state.value, _names(ROLLBACK_ALLOWED))
            head = await self._blocking(self._journal.checkpoint, execution_id, record.head)
            target = await self._blocking(self._rollback.target, execution_id, head, to)
            steps = await self._blocking(self._journal.steps, execution_id)
            await self._rollback.roll_back(execution_id, steps, target, "asked for", reopen=True, request=request)

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

    async def close(self) -> None:
        """Cancel what this process still drives and wait for its end. Idempotent."""
        for run in self._supervisor:
            await run.control.cancel("the process that ran it is ending")
        await self._supervisor.wait_all()

    # -- inside ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def _locked(self, execution_id: str) -> AsyncIterator[None]:
        """Hold the execution's lock for the block. Raises ExecutionLockedError."""
        lock = await self._blocking(self._locks.acquire, execution_id)
        try:
            yield
        finally:
            await self._blocking(self._locks.release, lock)

    async def _live(self, execution_id: str, verb: str, allowed: Sequence[ExecutionState]) -> Run:
        run = self._supervisor.find(execution_id)
        if run is None:
            record = await self._blocking(self._journal.execution, execution_id)
            raise WrongStateError(verb, execution_id, record.state.value, _names(allowed))
        return run


def _names(states: Sequence[ExecutionState] | frozenset[ExecutionState]) -> list[str]:
    return sorted(state.value for state in states)
