"""The rows and events of one execution as it goes: each method is one transaction, and the live state follows it.

The journal row is the commit point of a step: layers committed before it are rubbish until it is written.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from engine.clock import Clock
from engine.events.types import EventKind
from engine.execution.attempt import AttemptOutcome
from engine.execution.control import PauseMode
from engine.execution.decide import steps_done
from engine.execution.logs import TAIL_BYTES
from engine.execution.metering import outcome_usage
from engine.execution.run import Run
from engine.execution.writer import JournalWriter
from engine.journal.journal import Transaction
from engine.journal.records import CheckpointKind, CheckpointRecord, StepRecord
from engine.journal.states import ExecutionState, StepState
from sandbox.workspace.layer import LayerName


class BaselineRecorder(Protocol):
    """Finds out what the user's directory had where a layer changed something."""

    def record(self, run: Run, layer: LayerName) -> dict[bytes, dict[str, Any] | None]:
        """For each changed path not recorded yet: the base's entry as JSON, None where it has none. Blocking."""
        ...


class RunRecorder:
    """Writes what happened to a run; only this changes a run's mirror of the journal."""

    def __init__(self, writer: JournalWriter, baseline: BaselineRecorder, clock: Clock) -> None:
        self._writer = writer
        self._baseline = baseline
        self._clock = clock

    # -- steps -----------------------------------------------------------------------------------

    async def attempt_started(self, run: Run, index: int) -> None:
        """Another attempt of the step begins."""
        step, attempt = run.steps[index], run.steps[index].attempts + 1
        run.attempt = attempt

        def begin(tx: Transaction) -> None:
            tx.move_step(run.id, index, StepState.RUNNING, attempts=attempt)
            tx.emit(run.id, EventKind.STEP_STARTED, step.id, index=index, type=step.type, attempt=attempt)

        await self._writer.write(begin)
        run.steps[index] = replace(step, state=StepState.RUNNING, attempts=attempt)

    async def retrying(self, run: Run, index: int, failed: AttemptOutcome, wait: timedelta) -> None:
        """The attempt failed and another one follows after `wait`."""
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

    async def succeeded(self, run: Run, index: int, outcome: AttemptOutcome) -> None:
        step = run.steps[index]
        baseline = await self._new_baseline(run, outcome)

        def change(tx: Transaction) -> CheckpointRecord:
            tx.add_baseline(run.id, baseline)
            record = tx.add_checkpoint(run.id, step.id, CheckpointKind.AUTOMATIC, outcome.layer, run.head.id, step.id)
            columns = _columns(outcome) | {"checkpoint": record.id}
            tx.move_step(run.id, index, StepState.SUCCEEDED, **columns)
            tx.set_execution(run.id, head=record.id, run_ms=int(run.elapsed_ms(self._clock)))
            tx.emit(
                run.id,
                EventKind.CHECKPOINT_CREATED,
                step.id,
                checkpoint=record.id,
                name=record.name,
                changed=outcome.changed,
            )
            _emit_report(tx, run, step, outcome)
            tx.emit(run.id, EventKind.STEP_COMPLETED, step.id, **_summary(outcome))
            tx.emit(run.id, EventKind.EXECUTION_PROGRESS, None, **self._progress(run, index))
            return record

        run.head = await self._writer.write(change)
        run.steps[index] = replace(step, state=StepState.SUCCEEDED, checkpoint=run.head.id, **_columns(outcome))

    async def failed(self, run: Run, index: int, outcome: AttemptOutcome) -> None:
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
            tx.set_execution(run.id, run_ms=int(run.elapsed_ms(self._clock)))
            _emit_report(tx, run, step, outcome)
            tx.emit(run.id, EventKind.STEP_FAILED, step.id, branch=branch, **_summary(outcome))
            tx.emit(run.id, EventKind.EXECUTION_PROGRESS, None, **self._progress(run, index))
            return branch

        branch = await self._writer.write(change)
        run.steps[index] = replace(step, state=StepState.FAILED, checkpoint=branch, **_columns(outcome))

    async def _new_baseline(self, run: Run, outcome: AttemptOutcome) -> dict[bytes, dict[str, Any] | None]:
        if not outcome.changed or outcome.layer is None:
            return {}
        return await self._writer.blocking(self._baseline.record, run, outcome.layer)

    async def skipped(self, run: Run, indexes: list[int], reason: str) -> None:
        def change(tx: Transaction) -> None:
            for index in indexes:
                tx.move_step(run.id, index, StepState.SKIPPED, detail=reason)
                tx.emit(run.id, EventKind.STEP_SKIPPED, run.steps[index].id, reason=reason)

        if indexes:
            await self._writer.write(change)
        for index in indexes:
            run.steps[index] = replace(run.steps[index], state=StepState.SKIPPED, detail=reason)

    async def interrupted(self, run: Run, index: int) -> None:
        """A cancelled attempt left no trace: the step is pending again."""

        def change(tx: Transaction) -> None:
            tx.move_step(run.id, index, StepState.PENDING)

        await self._writer.write(change)
        run.steps[index] = replace(run.steps[index], state=StepState.PENDING)

    # -- the execution ---------------------------------------------------------------------------

    async def queued(self, run: Run, position: int) -> None:
        """paused -> idle: it is to go on, when its turn comes."""

        def change(tx: Transaction) -> None:
            tx.move(run.id, ExecutionState.IDLE)
            tx.emit(run.id, EventKind.EXECUTION_QUEUED, None, position=position)

        await self._writer.write(change)
        run.record = replace(run.record, state=ExecutionState.IDLE, reason="")

    async def going(self, run: Run, resumed: bool) -> None:
        """idle or paused -> running. resumed: it was paused before."""
        fresh = run.record.start_time is None

        def change(tx: Transaction) -> datetime:
            tx.move(run.id, ExecutionState.RUNNING)
            tx.set_execution(run.id, end_time=None, **({"start_time": tx.now} if fresh else {}))
            if resumed:
                tx.emit(run.id, EventKind.EXECUTION_RESUMED, run.step_id, head=run.head.id)
            if fresh:
                tx.emit(run.id, EventKind.EXECUTION_STARTED, None, **_beginning(run))
            return tx.now

        now = await self._writer.write(change)
        started = now if fresh else run.record.start_time
        run.record = replace(run.record, state=ExecutionState.RUNNING, reason="", end_time=None, start_time=started)
        run.running_since = self._clock.monotonic()

    async def paused(self, run: Run, mode: PauseMode, reason: str) -> None:
        """running or idle -> paused; a step that is under way stays `running`."""
        elapsed = int(run.elapsed_ms(self._clock))

        def change(tx: Transaction) -> None:
            tx.move(run.id, ExecutionState.PAUSED, reason)
            tx.set_execution(run.id, run_ms=elapsed)
            data = {"mode": mode.value, "reason": reason, "head": run.head.id}
            tx.emit(run.id, EventKind.EXECUTION_PAUSED, run.step_id, **data)

        await self._writer.write(change)
        run.running_since = None
        run.record = replace(run.record, state=ExecutionState.PAUSED, reason=reason, run_ms=elapsed)

    async def ended(self, run: Run, state: ExecutionState, reason: str) -> None:
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
        run.running_since = None
        run.record = await self._writer.blocking(self._writer.journal.execution, run.id)

    def _progress(self, run: Run, index: int) -> dict[str, Any]:
        return {
            "done": steps_done(run.steps) + 1,
            "total": len(run.steps),
            "step": run.steps[index].id,
            "elapsed_ms": round(run.elapsed_ms(self._clock), 1),
        }


def _beginning(run: Run) -> dict[str, Any]:
    """An execution's start as data of an event."""
    return {
        "name": run.record.name,
        "plan_digest": run.record.plan_digest,
        "steps": len(run.steps),
        "image": run.record.image_id,
        "workspace": run.record.workspace,
    }


def _emit_report(tx: Transaction, run: Run, step: StepRecord, outcome: AttemptOutcome) -> None:
    """What the checks said, if any ran."""
    if outcome.validation is not None:
        count = len(outcome.findings)
        tx.emit(run.id, EventKind.VALIDATION_COMPLETED, step.id, **outcome.validation, findings=count)


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
        "usage": outcome_usage(outcome).to_json(),
        "stdout_tail": outcome.stdout.text()[-TAIL_BYTES:],
        "stderr_tail": outcome.stderr.text()[-TAIL_BYTES:],
    }


def _summary(outcome: AttemptOutcome) -> dict[str, Any]:
    """An outcome as data of an event."""
    columns = _columns(outcome)
    summary = {name: columns[name] for name in ("exit_code", "verdict", "detail", "duration_ms", "overhead_ms")}
    summary["findings"] = len(columns["findings"])
    if outcome.tests is not None:
        summary["tests"] = {name: outcome.tests.get(name) for name in ("tests", "failures", "errors", "skipped")}
    return summary
