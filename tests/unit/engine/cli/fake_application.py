"""An application for tests of the command line: a real journal and a real event bus, and an engine that does what
a script says instead of running anything. Times come from a manual clock, so outputs can be compared as text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine.checkpoints.apply import ApplyReport
from engine.checkpoints.planning import Note, NoteKind
from engine.checkpoints.results import Comparison
from engine.checkpoints.swapping import Stayed
from engine.clock import ManualClock
from engine.errors import WrongStateError
from engine.events.bus import EventBus
from engine.events.types import EventKind, OutputChunk
from engine.execution.control import PauseMode
from engine.execution.decide import Progress, StepUsage
from engine.journal.database import Database
from engine.journal.journal import Journal, Transaction
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord, StepRecord
from engine.journal.states import ENDED, ExecutionState, StepState
from sandbox.spec import Stream
from sandbox.workspace.changes import BaseTree, Change, ChangeKind
from sandbox.workspace.manifest import Entry, EntryKind

USAGE = StepUsage(cpu_ms=1200.0, memory_peak_bytes=3 << 20, disk_bytes=4096, output_bytes=1024)
ID = "0123456789abcdef0123456789abcdef"
FORK_ID = "fedcba9876543210fedcba9876543210"


@dataclass
class Act:
    """What a scripted step does. hang: runs until the execution is cancelled."""

    ok: bool = True
    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int | None = 0
    verdict: str | None = None
    detail: str = ""
    took: timedelta = timedelta(milliseconds=20)
    hang: bool = False
    attempts: int = 1


@dataclass
class Script:
    """What the fake does. started: called when a step hangs (a test sends its signal then)."""

    acts: Mapping[str, Act] = field(default_factory=dict)
    trees: tuple[Path, Path] | None = None
    started: Callable[[], None] = lambda: None
    start_error: Exception | None = None
    apply_error: Exception | None = None
    changes_error: Exception | None = None
    finish_despite_cancel: bool = False


class FakeEngine:
    def __init__(self, journal: Journal, clock: ManualClock, script: Script, logs: Path) -> None:
        self.bus = EventBus()
        self.given_secrets: Mapping[str, str] = {}
        self.cancelled: list[str] = []
        self.paused: list[tuple[str, PauseMode, str]] = []
        self._reason = ""
        self._journal = journal
        self._clock = clock
        self._script = script
        self._logs = logs
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancel = asyncio.Event()

    def write(self, change: Callable[[Transaction], Any]) -> Any:
        with self._journal.transaction() as transaction:
            result = change(transaction)
        for event in transaction.events:
            self.bus.publish(event)
        return result

    async def start(self, plan, workspace, *, name=None, secrets=None, keep=False) -> str:
        if self._script.start_error is not None:
            raise self._script.start_error
        self.given_secrets = dict(secrets or {})
        self.kept = keep
        record = ExecutionRecord(
            ID,
            name or plan.name,
            ExecutionState.IDLE,
            plan.digest,
            str(workspace),
            1,
            2,
            0,
            self._clock.now(),
        )
        steps = [StepRecord(ID, index, step.id, step.type) for index, step in enumerate(plan.steps)]

        def accept(tx: Transaction) -> None:
            tx.add_execution(record, plan.to_json(), steps)
            tx.add_checkpoint(ID, "start", CheckpointKind.AUTOMATIC, None, None)

        self.write(accept)
        self._launch(ID, EventKind.EXECUTION_STARTED, name=record.name, workspace=record.workspace)
        return ID

    async def fork(self, execution_id, checkpoint, *, plan=None, name=None, secrets=None, keep=False) -> str:
        """The second execution has the id FORK_ID; the first step of the origin's plan is done in it."""
        origin = self._journal.execution(execution_id)
        point = self._journal.checkpoint(execution_id, checkpoint)
        followed = plan.to_json() if plan is not None else self._journal.plan(origin.id)
        self.given_secrets = dict(secrets or {})
        record = replace(
            origin,
            id=FORK_ID,
            name=name or origin.name,
            state=ExecutionState.IDLE,
            head="c0",
            last_sequence=0,
            forked_from=f"{origin.id}:{point.id}",
        )
        if plan is not None:
            steps = [StepRecord(FORK_ID, index, step.id, step.type) for index, step in enumerate(plan.steps)]
        else:
            first, *rest = self._journal.steps(execution_id)
            steps = [replace(first, execution_id=FORK_ID, checkpoint="c0")]
            steps += [StepRecord(FORK_ID, step.index, step.id, step.type) for step in rest]

        def accept(tx: Transaction) -> None:
            tx.add_execution(record, followed, steps)
            tx.add_checkpoint(FORK_ID, "start", CheckpointKind.AUTOMATIC, None, None)
            done = [step.id for step in steps if step.state is StepState.SUCCEEDED]
            told = {"origin": origin.id, "origin_name": origin.name, "checkpoint": point.id, "done": done}
            tx.emit(FORK_ID, EventKind.EXECUTION_FORKED, None, **told)

        self.write(accept)
        self._launch(FORK_ID, EventKind.EXECUTION_STARTED, name=record.name, workspace=record.workspace)
        return FORK_ID

    async def resume(self, execution_id: str, secrets=None) -> None:
        record = self._journal.execution(execution_id)
        if record.state is not ExecutionState.PAUSED:
            raise WrongStateError("resume", execution_id, record.state.value, ["paused"])
        self.given_secrets = dict(secrets or {})
        self._launch(execution_id, EventKind.EXECUTION_RESUMED)

    async def wait(self, execution_id: str) -> ExecutionRecord:
        if execution_id in self._tasks:
            await asyncio.shield(self._tasks[execution_id])
        return self._journal.execution(execution_id)

    async def pause(self, execution_id: str, mode: PauseMode, reason: str) -> ExecutionRecord:
        self.paused.append((execution_id, mode, reason))
        record = self._journal.execution(execution_id)
        if record.state in ENDED:
            raise WrongStateError("pause", execution_id, record.state.value, ["running"])
        return record

    async def cancel(self, execution_id: str, reason: str = "asked for") -> ExecutionRecord:
        self.cancelled.append(execution_id)
        self._reason = reason
        if self._journal.execution(execution_id).state in ENDED:
            raise WrongStateError("cancel", execution_id, "completed", ["running"])
        self._cancel.set()
        record = await self.wait(execution_id)
        if record.state is not ExecutionState.CANCELLED:
            raise WrongStateError("cancel", execution_id, record.state.value, ["running"])
        return record

    async def get_progress(self, execution_id: str) -> Progress:
        record = self._journal.execution(execution_id)
        steps = self._journal.steps(execution_id)
        return Progress(
            execution_id, record.state, 1, len(steps), steps[-1].id, 2, 1500.0, 500.0, output_bytes=2048, usage=USAGE
        )

    async def rollback(self, execution_id: str, to: str | None = None) -> CheckpointRecord:
        target = self._journal.checkpoint(execution_id, to or "c0")

        def change(tx: Transaction) -> None:
            tx.move(execution_id, ExecutionState.PAUSED, f"rolled back to {target.id}")
            tx.set_execution(execution_id, head=target.id)

        self.write(change)
        return target

    async def checkpoint(self, execution_id: str, name: str) -> CheckpointRecord:
        head = self._journal.execution(execution_id).head
        return self.write(lambda tx: tx.add_checkpoint(execution_id, name, CheckpointKind.MANUAL, None, head, None))

    def _launch(self, execution_id: str, kind: EventKind, **data: Any) -> None:
        def begin(tx: Transaction) -> None:
            tx.move(execution_id, ExecutionState.RUNNING)
            tx.emit(execution_id, kind, None, **data)

        self.write(begin)
        self._tasks[execution_id] = asyncio.create_task(self._drive(execution_id))

    async def _drive(self, execution_id: str) -> None:
        for step in self._journal.steps(execution_id):
            if step.state is not StepState.PENDING:
                continue
            act = self._script.acts.get(step.id, Act())
            if not await self._attempts(step, act):
                self._interrupt(step)
                return
            if not act.ok:
                self._end(execution_id, ExecutionState.FAILED, f"step {step.id} failed: {act.detail}")
                return
        self._end(execution_id, ExecutionState.COMPLETED, "")

    async def _attempts(self, step: StepRecord, act: Act) -> bool:
        for attempt in range(1, act.attempts + 1):
            self._begin(step, attempt)
            self._print(step, attempt, act)
            if act.hang:
                self._script.started()
                await self._cancel.wait()
                return self._script.finish_despite_cancel
            await asyncio.sleep(0)
            self._clock.advance(act.took)
            if attempt < act.attempts:
                self.write(
                    lambda tx, n=attempt: tx.emit(
                        step.execution_id, EventKind.STEP_RETRYING, step.id, attempt=n, reason="lost", wait_ms=500.0
                    )
                )
        self._finish(step, act)
        return True

    def _begin(self, step: StepRecord, attempt: int) -> None:
        def change(tx: Transaction) -> None:
            tx.move_step(step.execution_id, step.index, StepState.RUNNING, attempts=attempt)
            tx.emit(step.execution_id, EventKind.STEP_STARTED, step.id, type=step.type, attempt=attempt)

        self.write(change)

    def _print(self, step: StepRecord, attempt: int, act: Act) -> None:
        for stream, data in ((Stream.STDOUT, act.stdout), (Stream.STDERR, act.stderr)):
            if data:
                self.bus.publish(OutputChunk(step.execution_id, step.id, attempt, stream, data))
                path = self._logs / f"{step.index}-{attempt}.{stream.value}"
                path.write_bytes(data)

    def _finish(self, step: StepRecord, act: Act) -> None:
        took = act.took.total_seconds() * 1e3
        data = {"exit_code": act.exit_code, "verdict": act.verdict, "detail": act.detail, "duration_ms": took}
        columns = {**data, "overhead_ms": 1.5, "stdout_tail": act.stdout, "stderr_tail": act.stderr}

        def change(tx: Transaction) -> None:
            if act.ok:
                head = self._journal.execution(step.execution_id).head
                point = tx.add_checkpoint(step.execution_id, step.id, CheckpointKind.AUTOMATIC, None, head, step.id)
                tx.set_execution(step.execution_id, head=point.id)
                columns["checkpoint"] = point.id
            state = StepState.SUCCEEDED if act.ok else StepState.FAILED
            tx.move_step(step.execution_id, step.index, state, **columns)
            kind = EventKind.STEP_COMPLETED if act.ok else EventKind.STEP_FAILED
            tx.emit(step.execution_id, kind, step.id, **data)

        self.write(change)

    def _interrupt(self, step: StepRecord) -> None:
        def change(tx: Transaction) -> None:
            tx.move_step(step.execution_id, step.index, StepState.PENDING)

        self.write(change)
        self._end(step.execution_id, ExecutionState.CANCELLED, self._reason)

    def _end(self, execution_id: str, state: ExecutionState, reason: str) -> None:
        kind = EventKind(f"execution-{state.value}")

        def change(tx: Transaction) -> None:
            tx.move(execution_id, state, reason)
            tx.set_execution(execution_id, end_time=tx.now, run_ms=1234)
            tx.emit(execution_id, kind, None, reason=reason)

        self.write(change)


def report(apply_id: str | None, dry_run: bool) -> ApplyReport:
    note = Note(NoteKind.RUNS_LATER, b"Makefile", "runs on your machine later")
    return ApplyReport(
        apply_id, Path("/project"), dry_run, (b"a\x1b[2J",), (b"b", b"c"), (), (note,), (Stayed(b"d", "not empty"),)
    )


def changes_between(old: BaseTree, new: BaseTree) -> list[Change]:
    """The differences of two directories, found by looking at everything."""

    def entries(tree: BaseTree, directory: bytes = b"") -> dict[bytes, Entry]:
        found = {}
        for entry in tree.children(directory):
            found[entry.path] = entry
            if entry.kind is EntryKind.DIRECTORY:
                found |= entries(tree, entry.path)
        return found

    before, after = entries(old), entries(new)
    changes = []
    for path in sorted(before.keys() | after.keys()):
        a, b = before.get(path), after.get(path)
        if a is None or b is None:
            changes.append(Change(path, ChangeKind.ADDED if a is None else ChangeKind.DELETED, a, b))
        elif a.kind is EntryKind.FILE and old.digest(path) != new.digest(path):
            changes.append(Change(path, ChangeKind.MODIFIED, a, b))
        elif a.mode != b.mode:
            changes.append(Change(path, ChangeKind.MODE_CHANGED, a, b))
    return changes


class FakeResults:
    def __init__(self, journal: Journal, script: Script, logs: Path) -> None:
        self._journal = journal
        self._script = script
        self._logs = logs
        self.applied: list[dict[str, Any]] = []
        self.compared: list[tuple[str | None, str | None]] = []

    async def changes(self, execution_id: str, a: str | None = None, b: str | None = None) -> list[Change]:
        return await self.using(execution_id, a, b, lambda found: found.changes)

    async def using(self, execution_id: str, a: str | None, b: str | None, work: Callable[[Comparison], Any]) -> Any:
        if self._script.changes_error is not None:
            raise self._script.changes_error
        self.compared.append((a, b))
        record = self._journal.execution(execution_id)
        with ExitStack() as stack:
            old, new = (stack.enter_context(BaseTree(tree)) for tree in self._script.trees or (self._logs, self._logs))
            found = changes_between(old, new) if self._script.trees else []
            return work(Comparison(record, old, new, found))

    async def apply(self, execution_id: str, *, dry_run: bool, force: bool, allow: Sequence[str]) -> ApplyReport:
        if self._script.apply_error is not None:
            raise self._script.apply_error
        self.applied.append({"id": execution_id, "dry_run": dry_run, "force": force, "allow": list(allow)})
        return report(None if dry_run else "a1", dry_run)

    async def undo(self, execution_id: str, *, dry_run: bool, force: bool) -> ApplyReport:
        self.applied.append({"id": execution_id, "dry_run": dry_run, "force": force, "undo": True})
        return report("a2", dry_run)

    def logs(self, execution_id: str, step_id: str | None) -> Iterator[tuple[str, int, Stream, Path]]:
        names = {step.index: step.id for step in self._journal.steps(execution_id)}
        for path in sorted(self._logs.iterdir()):
            index, attempt = path.stem.split("-")
            if step_id in (None, names[int(index)]):
                yield names[int(index)], int(attempt), Stream(path.suffix[1:]), path


class FakeApplication:
    """One state directory; `open` may be called once per command."""

    def __init__(self, home: Path, script: Script | None = None) -> None:
        self.home = home
        self.script = script or Script()
        self.opened: list[tuple[Path | None, bool]] = []
        logs = home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self.clock = ManualClock()
        self._database = Database(home / "journal.db")
        self.journal = Journal(self._database, self.clock)
        self.engine = FakeEngine(self.journal, self.clock, self.script, logs)
        self.results = FakeResults(self.journal, self.script, logs)

    @asynccontextmanager
    async def open(
        self, home: Path | None = None, *, engine: bool, attach: bool = False
    ) -> AsyncIterator[FakeApplication]:
        self.opened.append((home, engine))
        yield self

    def close(self) -> None:
        self._database.close()
