"""Drives one execution from its head to an end: asks `decide` what comes next, has the step executor do it,
writes the outcome to the journal, and acts on failure as the plan says.

The journal row is the commit point of a step: layers committed before it are rubbish until it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

from engine.clock import Clock
from engine.events.types import EventKind, OutputChunk
from engine.execution.attempt import AttemptOutcome
from engine.execution.decide import Finish, RunStep, SkipStep, decide, failure_text
from engine.execution.logs import TAIL_BYTES, LogStore
from engine.execution.masking import Masker
from engine.execution.retry import OutcomeClass, RetryPolicy, with_retry
from engine.execution.rollback import RollbackService
from engine.execution.run import Run
from engine.execution.step import StepExecutor, sandbox_spec, usage_json
from engine.execution.writer import JournalWriter
from engine.journal.journal import Transaction
from engine.journal.records import CheckpointKind, CheckpointRecord
from engine.journal.states import ExecutionState, StepState
from engine.plan.model import OnFailure, Step, StepSettings
from sandbox.errors import LayerNotFoundError
from sandbox.sandbox import SandboxProvider
from sandbox.spec import CapturedOutput, SandboxSpec, Stream
from sandbox.workspace.layer import DiskLimit, LayerName, VolumeId
from sandbox.workspace.store import LayerStore

BYTES_PER_INODE = 8192
MIN_INODES = 1024
EXPECT_AHEAD = 8
START = "c0"
"""Id of the checkpoint where every execution starts."""

RUNS_SANDBOX = frozenset({"command", "test", "validation"})


class BaselineRecorder(Protocol):
    """Finds out what the user's directory had where a layer changed something."""

    def record(self, run: Run, layer: LayerName) -> dict[bytes, dict[str, Any] | None]:
        """For each changed path not recorded yet: the base's entry as JSON, None where it has none. Blocking."""
        ...


def disk_limit(disk_bytes: int) -> DiskLimit:
    """Bytes and inodes of a volume for a plan's `disk`."""
    return DiskLimit(disk_bytes, max(MIN_INODES, disk_bytes // BYTES_PER_INODE))


def retry_policy(settings: StepSettings) -> RetryPolicy:
    """The retry policy that a step's settings ask for."""
    asked = settings.retry
    return RetryPolicy(
        attempts=asked.attempts,
        initial=asked.initial,
        factor=asked.factor,
        maximum=asked.max,
        jitter=asked.jitter,
        on_failure=settings.retry_failures,
    )


def classify(outcome: AttemptOutcome) -> OutcomeClass:
    """How an outcome counts for retrying."""
    if outcome.ok:
        return OutcomeClass.SUCCEEDED
    if outcome.cancelled:
        return OutcomeClass.CANCELLED
    if outcome.refused:
        return OutcomeClass.REFUSED
    if outcome.unavailable:
        return OutcomeClass.UNAVAILABLE
    return OutcomeClass.FAILED


class Driver:
    """Has no state of its own but its collaborators; a `Run` is passed through."""

    def __init__(
        self,
        writer: JournalWriter,
        store: LayerStore,
        provider: SandboxProvider,
        executor: StepExecutor,
        rollback: RollbackService,
        baseline: BaselineRecorder,
        logs: LogStore,
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._store = store
        self._provider = provider
        self._executor = executor
        self._rollback = rollback
        self._baseline = baseline
        self._logs = logs
        self._clock = clock

    async def drive(self, run: Run) -> None:
        """Go on until the execution ends; its state is `running` on entry and an ended one on return."""
        run.clock_started = self._clock.monotonic()
        self._expect(run)
        while True:
            if run.control.cancelled:
                await self._end(run, ExecutionState.CANCELLED, run.control.cancel_reason)
                return
            if run.control.pause_wanted:
                await self._park(run)
                continue
            decision = decide(run.needs, run.steps)
            if isinstance(decision, Finish):
                await self._end(run, decision.state, decision.reason)
                return
            if isinstance(decision, SkipStep):
                await self._skip(run, [decision.index], decision.reason)
            else:
                assert isinstance(decision, RunStep)
                if not await self._step(run, decision.index):
                    failed = next(step for step in run.steps if step.state is StepState.FAILED)
                    await self._end(run, ExecutionState.FAILED, failure_text(failed))
                    return

    # -- one step --------------------------------------------------------------------------------

    async def _step(self, run: Run, index: int) -> bool:
        """Run the step to its end; False when its failure ends the execution."""
        step = run.context.plan.steps[index]
        settings = run.context.plan.settings_for(step)
        run.current = run.steps[index]
        try:
            # Not what this step claims itself: that waits or is on its way, and nothing is to be started in its place.
            self._expect(run, after=index)
            volume = await self._volume(run, index, settings)
            outcome = await with_retry(
                retry_policy(settings),
                lambda span: run.control.sleep(self._clock, span),
                lambda number: self._attempt(run, index, step, volume, number),
                classify,
                lambda number, failed, wait: self._announce_retry(run, index, number, failed, wait),
            )
            if outcome.cancelled:
                await self._interrupt(run, index)
            elif outcome.ok:
                await self._succeed(run, index, outcome)
            else:
                await self._fail(run, index, outcome)
                return await self._act_on_failure(run, settings)
            return True
        finally:
            run.current = None
            run.attempt = 0

    async def _volume(self, run: Run, index: int, settings: StepSettings) -> VolumeId:
        """The execution's volume, or one of its own for a step with another disk limit."""
        if settings.disk_bytes == run.context.plan.sandbox.disk:
            return run.context.volume
        volume = VolumeId(f"{run.context.volume}-{index}")
        limit = disk_limit(settings.disk_bytes)
        await self._writer.blocking(self._ensure_volume, run, volume, limit)
        return volume

    def _ensure_volume(self, run: Run, volume: VolumeId, limit: DiskLimit) -> None:
        try:
            self._store.open_volume(volume)
        except LayerNotFoundError:
            mask = run.context.hide.mask(run.context.plan.sandbox.hide)
            self._store.create_volume(volume, run.context.workspace, limit, mask)

    async def _attempt(self, run: Run, index: int, step: Step, volume: VolumeId, number: int) -> AttemptOutcome:
        run.attempt = run.steps[index].attempts + 1

        def begin(tx: Transaction) -> None:
            tx.move_step(run.id, index, StepState.RUNNING, attempts=run.attempt)
            tx.emit(run.id, EventKind.STEP_STARTED, step.id, index=index, type=step.type, attempt=run.attempt)

        await self._writer.write(begin)
        run.steps[index] = replace(run.steps[index], state=StepState.RUNNING, attempts=run.attempt)
        sink, finish = self._output(run, step.id)
        outcome = await self._executor.execute(run.context, step, run.head.layer, volume, run.control, sink)
        finish()
        return await self._keep_output(run, index, outcome)

    def _output(self, run: Run, step_id: str) -> tuple[Callable[[Stream, bytes], None], Callable[[], None]]:
        """A sink that shows output live, masked; and what to call when the attempt has ended."""
        streams = {stream: run.masker.stream() for stream in Stream}
        attempt = run.attempt

        def show(stream: Stream, data: bytes) -> None:
            if data:
                self._writer.bus.publish(OutputChunk(run.id, step_id, attempt, stream, data))

        def sink(stream: Stream, chunk: bytes) -> None:
            show(stream, streams[stream].feed(chunk))

        def finish() -> None:
            for stream, masking in streams.items():
                show(stream, masking.finish())

        return sink, finish

    async def _keep_output(self, run: Run, index: int, outcome: AttemptOutcome) -> AttemptOutcome:
        """Mask what came back and write the attempt's log."""
        masked = masked_outcome(run.masker, outcome)
        outputs = {Stream.STDOUT: masked.stdout.text(), Stream.STDERR: masked.stderr.text()}
        await self._writer.blocking(self._logs.write, run.id, index, run.attempt, outputs)
        return masked

    async def _announce_retry(self, run: Run, index: int, number: int, failed: AttemptOutcome, wait: timedelta) -> None:
        step_id = run.steps[index].id
        wait_ms = wait.total_seconds() * 1e3

        def change(tx: Transaction) -> None:
            tx.emit(
                run.id,
                EventKind.STEP_RETRYING,
                step_id,
                attempt=run.attempt,
                reason=failed.detail,
                verdict=failed.verdict,
                wait_ms=wait_ms,
            )

        await self._writer.write(change)
        self._expect(run, after=index - 1)
        if failed.changed and failed.layer is not None:
            # Nothing names it: it would only take room from the next attempt.
            await self._writer.blocking(self._store.remove, failed.layer)

    # -- outcomes --------------------------------------------------------------------------------

    async def _succeed(self, run: Run, index: int, outcome: AttemptOutcome) -> None:
        step = run.steps[index]
        baseline = await self._new_baseline(run, outcome)

        def change(tx: Transaction) -> CheckpointRecord:
            tx.add_baseline(run.id, baseline)
            record = tx.add_checkpoint(run.id, step.id, CheckpointKind.AUTOMATIC, outcome.layer, run.head.id, step.id)
            columns = _columns(outcome) | {"checkpoint": record.id}
            tx.move_step(run.id, index, StepState.SUCCEEDED, **columns)
            tx.set_execution(run.id, head=record.id)
            tx.emit(
                run.id,
                EventKind.CHECKPOINT_CREATED,
                step.id,
                checkpoint=record.id,
                name=record.name,
                changed=outcome.changed,
            )
            tx.emit(run.id, EventKind.STEP_COMPLETED, step.id, **_summary(outcome))
            tx.emit(run.id, EventKind.EXECUTION_PROGRESS, None, **self._progress(run, index))
            return record

        run.head = await self._writer.write(change)
        run.steps[index] = replace(step, state=StepState.SUCCEEDED, checkpoint=run.head.id, **_columns(outcome))

    async def _fail(self, run: Run, index: int, outcome: AttemptOutcome) -> None:
        step = run.steps[index]
        baseline = await self._new_baseline(run, outcome)

        def change(tx: Transaction) -> str | None:
            tx.add_baseline(run.id, baseline)
            branch = None
            if outcome.changed:
                branch = tx.add_checkpoint(
                    run.id, f"{step.id}!failed", CheckpointKind.FAILED, outcome.layer, run.head.id, step.id
                ).id
            columns = _columns(outcome) | {"checkpoint": branch}
            tx.move_step(run.id, index, StepState.FAILED, **columns)
            tx.emit(run.id, EventKind.STEP_FAILED, step.id, branch=branch, **_summary(outcome))
            tx.emit(run.id, EventKind.EXECUTION_PROGRESS, None, **self._progress(run, index))
            return branch

        branch = await self._writer.write(change)
        run.steps[index] = replace(step, state=StepState.FAILED, checkpoint=branch, **_columns(outcome))

    async def _new_baseline(self, run: Run, outcome: AttemptOutcome) -> dict[bytes, dict[str, Any] | None]:
        if not outcome.changed or outcome.layer is None:
            return {}
        return await self._writer.blocking(self._baseline.record, run, outcome.layer)

    async def _act_on_failure(self, run: Run, settings: StepSettings) -> bool:
        """What the plan says about a failed step; True when the execution goes on."""
        if settings.on_failure is OnFailure.CONTINUE:
            return True
        failed = next(step for step in run.steps if step.state is StepState.FAILED)
        if settings.on_failure is OnFailure.ROLLBACK:
            find = self._rollback.start if settings.rollback_to is None else self._rollback.after_step
            target = await self._writer.blocking(find, run.id, settings.rollback_to)
            await self._roll_back(run, target, failure_text(failed), reopen=False)
        left = [step.index for step in run.steps if step.state is StepState.PENDING]
        await self._skip(run, left, "the execution ended before it")
        return False

    async def _roll_back(self, run: Run, target: CheckpointRecord, reason: str, *, reopen: bool) -> None:
        if target.id == run.head.id and not reopen:
            return
        run.steps = await self._rollback.roll_back(run.id, run.steps, target, reason, reopen=reopen)
        run.head = target
        run.record = replace(run.record, head=target.id)

    async def _skip(self, run: Run, indexes: list[int], reason: str) -> None:
        def change(tx: Transaction) -> None:
            for index in indexes:
                tx.move_step(run.id, index, StepState.SKIPPED, detail=reason)
                tx.emit(run.id, EventKind.STEP_SKIPPED, run.steps[index].id, reason=reason)

        if indexes:
            await self._writer.write(change)
        for index in indexes:
            run.steps[index] = replace(run.steps[index], state=StepState.SKIPPED, detail=reason)

    async def _interrupt(self, run: Run, index: int) -> None:
        """A cancelled attempt left no trace: the step is pending again."""

        def change(tx: Transaction) -> None:
            tx.move_step(run.id, index, StepState.PENDING)

        await self._writer.write(change)
        run.steps[index] = replace(run.steps[index], state=StepState.PENDING)

    # -- the execution ---------------------------------------------------------------------------

    async def _park(self, run: Run) -> None:
        """Wait in state paused until resumed or cancelled."""
        reason = run.control.pause_reason
        elapsed = run.elapsed_ms(self._clock)

        def pause(tx: Transaction) -> None:
            tx.move(run.id, ExecutionState.PAUSED, reason)
            tx.set_execution(run.id, run_ms=int(elapsed))
            tx.emit(run.id, EventKind.EXECUTION_PAUSED, None, reason=reason, head=run.head.id)

        await self._writer.write(pause)
        run.parked = True
        run.record = replace(run.record, state=ExecutionState.PAUSED, reason=reason, run_ms=int(elapsed))
        await run.control.until_resumed()
        run.parked = False
        run.clock_started = self._clock.monotonic()
        if run.control.cancelled:
            return

        def resume(tx: Transaction) -> None:
            tx.move(run.id, ExecutionState.RUNNING)
            tx.emit(run.id, EventKind.EXECUTION_RESUMED, None, head=run.head.id)

        await self._writer.write(resume)
        run.record = replace(run.record, state=ExecutionState.RUNNING, reason="")
        self._expect(run)

    async def _end(self, run: Run, state: ExecutionState, reason: str) -> None:
        kind = {
            ExecutionState.COMPLETED: EventKind.EXECUTION_COMPLETED,
            ExecutionState.FAILED: EventKind.EXECUTION_FAILED,
            ExecutionState.CANCELLED: EventKind.EXECUTION_CANCELLED,
        }[state]
        elapsed = int(run.elapsed_ms(self._clock))
        reason = run.masker.mask_text(reason)

        def change(tx: Transaction) -> None:
            tx.move(run.id, state, reason)
            tx.set_execution(run.id, end_time=tx.now, run_ms=elapsed, lease="")
            tx.emit(run.id, kind, None, reason=reason, head=run.head.id, duration_ms=elapsed)

        await self._writer.write(change)
        self._provider.expect(run.id, ())
        run.record = await self._writer.blocking(self._writer.journal.execution, run.id)

    async def fail(self, run: Run, reason: str) -> None:
        """End the execution as failed for a reason that is no step's outcome (the store, the engine)."""
        for step in [step for step in run.steps if step.state is StepState.RUNNING]:
            await self._interrupt(run, step.index)
        await self._end(run, ExecutionState.FAILED, reason)

    def _expect(self, run: Run, after: int = -1) -> None:
        """Tell the provider what kinds of sandbox come next."""
        self._provider.expect(run.id, upcoming_specs(run, after)[:EXPECT_AHEAD])

    def _progress(self, run: Run, index: int) -> dict[str, Any]:
        progress = run.progress(self._clock)
        return {
            "done": progress.done + 1,
            "total": progress.total,
            "step": run.steps[index].id,
            "elapsed_ms": round(progress.elapsed_ms, 1),
        }


def upcoming_specs(run: Run, after: int) -> list[SandboxSpec]:
    """The sandboxes that the steps behind `after` still have to claim, in order. Pure."""
    specs = []
    for record in run.steps[after + 1 :]:
        if record.state not in (StepState.PENDING, StepState.RUNNING, StepState.ROLLED_BACK):
            continue
        step = run.context.plan.steps[record.index]
        settings = run.context.plan.settings_for(step)
        if step.type in RUNS_SANDBOX or getattr(step, "patch", None) is not None:
            specs.append(sandbox_spec(run.context.image_id, settings))
        if settings.checks and step.type not in RUNS_SANDBOX:
            specs.append(sandbox_spec(run.context.image_id, settings))
        if len(specs) >= EXPECT_AHEAD:
            break
    return specs


def masked_outcome(masker: Masker, outcome: AttemptOutcome) -> AttemptOutcome:
    """The outcome with every secret replaced, also one that lies across the cut between head and tail."""

    def masked(captured: CapturedOutput) -> CapturedOutput:
        if not captured.omitted_bytes:
            return CapturedOutput(head=masker.mask(captured.head + captured.tail))
        return CapturedOutput(masker.mask(captured.head), masker.mask(captured.tail), captured.omitted_bytes)

    return replace(
        outcome,
        stdout=masked(outcome.stdout),
        stderr=masked(outcome.stderr),
        detail=masker.mask_text(outcome.detail),
    )


def _columns(outcome: AttemptOutcome) -> dict[str, Any]:
    """An outcome as columns of the step's row."""
    duration = outcome.duration.total_seconds() * 1e3
    return {
        "exit_code": outcome.exit_code,
        "verdict": outcome.verdict.value if outcome.verdict else None,
        "detail": outcome.detail,
        "duration_ms": round(duration, 3),
        "overhead_ms": round(duration - outcome.run_time.total_seconds() * 1e3, 3),
        "findings": list(outcome.findings),
        "tests": outcome.tests,
        "usage": usage_json(outcome),
        "stdout_tail": outcome.stdout.text()[-TAIL_BYTES:],
        "stderr_tail": outcome.stderr.text()[-TAIL_BYTES:],
    }


def _summary(outcome: AttemptOutcome) -> dict[str, Any]:
    """An outcome as data of an event."""
    columns = _columns(outcome)
    summary = {name: columns[name] for name in ("exit_code", "verdict", "detail", "duration_ms", "overhead_ms")}
    summary["findings"] = len(outcome.findings)
    if outcome.tests is not None:
        summary["tests"] = {name: outcome.tests.get(name) for name in ("tests", "failures", "errors", "skipped")}
    return summary
