"""Drives one execution from its head to an end: asks `decide` what comes next, has the step executor do it and the
recorder write down what came of it, and acts on failure as the plan says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from engine.clock import Clock
from engine.execution.attempt import AttemptOutcome
from engine.execution.decide import Finish, RunStep, SkipStep, decide, failure_text
from engine.execution.expected import EXPECT_AHEAD, upcoming_specs
from engine.execution.metering import AttemptMeter
from engine.execution.output import OutputKeeper
from engine.execution.recording import RunRecorder
from engine.execution.retry import classify, retry_policy, with_retry
from engine.execution.rollback import RollbackService
from engine.execution.run import Run
from engine.execution.step import StepExecutor
from engine.execution.volumes import ExecutionVolumes
from engine.execution.writer import JournalWriter
from engine.journal.records import CheckpointRecord, StepRecord
from engine.journal.states import ExecutionState, StepState
from engine.plan.model import OnFailure, Step, StepSettings
from sandbox.sandbox import SandboxProvider
from sandbox.workspace.layer import VolumeId
from sandbox.workspace.store import LayerStore


@dataclass(frozen=True, slots=True)
class DriverServices:
    """What the driver works with; made by the composition root."""

    writer: JournalWriter
    recorder: RunRecorder
    output: OutputKeeper
    store: LayerStore
    volumes: ExecutionVolumes
    provider: SandboxProvider
    executor: StepExecutor
    rollback: RollbackService
    clock: Clock


class Driver:
    """Has no state of its own but its collaborators; a `Run` is passed through."""

    def __init__(self, services: DriverServices) -> None:
        self._writer = services.writer
        self._recorder = services.recorder
        self._output = services.output
        self._store = services.store
        self._volumes = services.volumes
        self._provider = services.provider
        self._executor = services.executor
        self._rollback = services.rollback
        self._clock = services.clock

    async def drive(self, run: Run) -> None:
        """Go on until the execution ends, or the driver is to leave it paused."""
        self._expect(run)
        while True:
            failed = _ending_failure(run)
            if failed is not None:
                await self._act_on_failure(run, failed)
                await self._end(run, ExecutionState.FAILED, failure_text(failed))
                return
            if not await self.may_go_on(run):
                return
            decision = decide(run.needs, run.steps)
            if isinstance(decision, Finish):
                await self._end(run, decision.state, decision.reason)
                return
            if isinstance(decision, SkipStep):
                await self._recorder.skipped(run, [decision.index], decision.reason)
            else:
                assert isinstance(decision, RunStep)
                await self._step(run, decision.index)

    async def may_go_on(self, run: Run) -> bool:
        """A hold between steps. False when nothing more is to be done: it is cancelled now, or left paused.

        Raises what broke the execution.
        """
        control = run.control
        control.begin_step()
        await control.come_by(between_steps=True)
        if control.cancelled:
            await self._end(run, ExecutionState.CANCELLED, control.cancel_reason)
            return False
        if control.broken is not None:
            raise control.broken
        if control.leaving:
            if isinstance(decide(run.needs, run.steps), Finish) and run.record.state is ExecutionState.RUNNING:
                return True
            await control.on_hold()
            return False
        return True

    # -- one step --------------------------------------------------------------------------------

    async def _step(self, run: Run, index: int) -> None:
        """Run the step to its end."""
        step = run.context.plan.steps[index]
        settings = run.context.plan.settings_for(step)
        run.current = run.steps[index]
        try:
            # Not what this step claims itself: that waits or is on its way, and nothing is to be started in its place.
            self._expect(run, after=index)
            volume = await self._volumes.of_step(run, index)
            outcome = await with_retry(
                retry_policy(settings),
                lambda span: run.control.sleep(self._clock, span),
                lambda number: self._attempt(run, index, step, volume),
                classify,
                lambda number, failed, wait: self._announce_retry(run, index, failed, wait),
            )
            if outcome.cancelled:
                await self._recorder.interrupted(run, index)
            elif outcome.ok:
                await self._recorder.succeeded(run, index, outcome)
            else:
                await self._recorder.failed(run, index, outcome)
        finally:
            run.current = None
            run.meter = None
            run.attempt = 0

    async def _attempt(self, run: Run, index: int, step: Step, volume: VolumeId) -> AttemptOutcome:
        if run.control.stopping:
            # It was to be tried again, but is not any more.
            return AttemptOutcome(False, run.head.layer, changed=False, cancelled=True)
        await self._recorder.attempt_started(run, index)
        run.meter = meter = AttemptMeter(run.control)
        sink, finish = self._output.live(run, step.id, meter)
        outcome = await self._executor.execute(run.context, step, run.head.layer, volume, meter, sink)
        finish()
        return await self._output.keep(run, index, outcome)

    async def _announce_retry(self, run: Run, index: int, failed: AttemptOutcome, wait: timedelta) -> None:
        await self._recorder.retrying(run, index, failed, wait)
        self._expect(run, after=index - 1)
        if failed.changed and failed.layer is not None:
            # Nothing names it: it would only take room from the next attempt.
            await self._writer.blocking(self._store.remove, failed.layer)

    async def _act_on_failure(self, run: Run, failed: StepRecord) -> None:
        """What the plan says about a step whose failure ends the execution. What was done already is not repeated."""
        settings = _settings_of(run, failed)
        if settings.on_failure is OnFailure.ROLLBACK:
            find = self._rollback.start if settings.rollback_to is None else self._rollback.after_step
            target = await self._writer.blocking(find, run.id, settings.rollback_to)
            await self._roll_back(run, target, failure_text(failed), reopen=False)
        left = [step.index for step in run.steps if step.state is StepState.PENDING]
        await self._recorder.skipped(run, left, "the execution ended before it")

    async def _roll_back(self, run: Run, target: CheckpointRecord, reason: str, *, reopen: bool) -> None:
        if target.id == run.head.id and not reopen:
            return
        run.steps = await self._rollback.roll_back(run.id, run.steps, target, reason, reopen=reopen)
        run.head = target
        run.record = replace(run.record, head=target.id)

    # -- the execution ---------------------------------------------------------------------------

    async def _end(self, run: Run, state: ExecutionState, reason: str) -> None:
        async with run.verbs:
            await self._recorder.ended(run, state, reason)
        self._provider.expect(run.id, ())

    async def fail(self, run: Run, reason: str) -> None:
        """End the execution as failed for a reason that is no step's outcome (the store, the engine)."""
        for step in [step for step in run.steps if step.state is StepState.RUNNING]:
            await self._recorder.interrupted(run, step.index)
        await self._end(run, ExecutionState.FAILED, reason)

    def forget(self, run: Run) -> None:
        """No sandbox need wait for it any more."""
        self._provider.expect(run.id, ())

    def _expect(self, run: Run, after: int = -1) -> None:
        """Tell the provider what kinds of sandbox come next."""
        self._provider.expect(run.id, upcoming_specs(run, after)[:EXPECT_AHEAD])


def _settings_of(run: Run, record: StepRecord) -> StepSettings:
    plan = run.context.plan
    return plan.settings_for(plan.steps[record.index])


def _ending_failure(run: Run) -> StepRecord | None:
    """A failed step after which the plan wants no further one; found again after a death between the failure's row
    and what follows from it."""
    for step in run.steps:
        if step.state is StepState.FAILED and _settings_of(run, step).on_failure is not OnFailure.CONTINUE:
            return step
    return None
