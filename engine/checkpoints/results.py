"""`Results`: what an execution has come to, looked at and brought home: differences, exports, apply, undo.

Every method that reads layers opens the execution's volumes for as long as it works and closes them again.
What changes the user's directory holds the execution's lock, so that its head stays where it is meanwhile.
"""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from engine.checkpoints.position import tree_at
from engine.errors import NotFoundError, WrongStateError
from engine.events.types import EventKind
from engine.journal.journal import Journal, Transaction
from engine.journal.records import ExecutionRecord
from engine.journal.states import APPLY_ALLOWED
from sandbox.spec import Stream
from sandbox.workspace.changes import Change, Tree, changes
from sandbox.workspace.layer import LayerName, VolumeId
from sandbox.workspace.manifest import Manifest
from sandbox.workspace.store import LayerStore

if TYPE_CHECKING:
    from engine.checkpoints.apply import ApplyReport


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two positions of one execution and what differs between them; valid while its block is open."""

    record: ExecutionRecord
    old: Tree
    new: Tree
    changes: list[Change]


class Comparer:
    """Opens two positions of an execution side by side. Blocking."""

    def __init__(self, journal: Journal, store: LayerStore) -> None:
        self._journal = journal
        self._store = store

    @contextmanager
    def compared(self, execution_id: str, a: str | None, b: str | None) -> Iterator[Comparison]:
        """The difference from checkpoint `a` (default: the user's directory) to `b` (default: the head), for the block.

        An execution starts from the user's directory, but for a fork, which starts above what its origin did.

        Raises:
          NotFoundError: no such execution or checkpoint. LayerCorruptError: a layer is damaged.
          TreeRefusedError: the user's directory is gone or cannot be read.
        """
        record = self._journal.execution(execution_id)
        old = self._journal.checkpoint(execution_id, a).layer if a else None
        new = self._journal.checkpoint(execution_id, b or record.head).layer
        with self._volumes(execution_id):
            hide = self._mask(execution_id)
            base = Path(record.workspace)
            with (
                tree_at(self._store, base, hide, old) as before,
                tree_at(self._store, base, hide, new) as after,
            ):
                touched = self._touched(old, new)
                yield Comparison(record, before, after, changes(before, after, touched))

    def _mask(self, execution_id: str) -> Manifest | None:
        """What is hidden; nothing where the execution never had its turn, and so no volume."""
        volume = VolumeId(execution_id)
        return self._store.mask(volume) if volume in self._store.volumes() else None

    def _touched(self, old: LayerName | None, new: LayerName | None) -> list[Manifest]:
        """Manifests that name every path at which the two can differ."""
        return [self._store.merged_manifest(layer) for layer in (old, new) if layer is not None]

    @contextmanager
    def _volumes(self, execution_id: str) -> Iterator[None]:
        with ExitStack() as stack:
            for volume in self._store.volumes():
                if volume == execution_id or volume.startswith(f"{execution_id}-"):
                    stack.enter_context(self._store.using(volume))
            yield


T = TypeVar("T")


class Blocking(Protocol):
    """Runs a blocking function in a worker thread."""

    def __call__(self, function: Callable[..., T], /, *args: Any) -> Awaitable[T]: ...


class Locks(Protocol):
    """Locks of executions; see `engine.execution.locks`."""

    def acquire(self, execution_id: str) -> int: ...

    def release(self, fd: int) -> None: ...


class LogFile(Protocol):
    """One stream of one attempt; see `engine.execution.logs`."""

    @property
    def step_index(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def stream(self) -> Stream: ...
    @property
    def path(self) -> Path: ...


class LogFiles(Protocol):
    """Where attempts' output is kept; see `engine.execution.logs`."""

    def files(self, execution_id: str) -> Iterable[LogFile]: ...


class Recorder(Protocol):
    """Writes to the journal and tells listeners; see `engine.execution.writer`."""

    async def write(self, change: Callable[[Transaction], T]) -> T: ...


class Results:
    """Differences, apply and undo of one state directory's executions. Lives on one event loop."""

    def __init__(
        self,
        home: Path,
        journal: Journal,
        store: LayerStore,
        locks: Locks,
        logs: LogFiles,
        recorder: Recorder,
        blocking: Blocking,
    ) -> None:
        self._journal = journal
        self._logs = logs
        self._locks = locks
        self._recorder = recorder
        self._blocking = blocking
        self._comparer = Comparer(journal, store)
        self._home = home

    async def changes(self, execution_id: str, a: str | None = None, b: str | None = None) -> list[Change]:
        """What differs from checkpoint `a` (default: the user's directory) to `b` (default: the head).

        Raises as `Comparer.compared`.
        """

        def compare() -> list[Change]:
            with self._comparer.compared(execution_id, a, b) as found:
                return found.changes

        return await self._blocking(compare)

    async def using(self, execution_id: str, a: str | None, b: str | None, work: Callable[[Comparison], T]) -> T:
        """What `work` makes, in a worker thread, of two positions side by side: a patch, a tar, a rendering.

        Raises as `Comparer.compared`, and what `work` raises.
        """

        def compare() -> T:
            with self._comparer.compared(execution_id, a, b) as found:
                return work(found)

        return await self._blocking(compare)

    async def apply(
        self, execution_id: str, *, dry_run: bool = False, force: bool = False, allow: Sequence[str] = ()
    ) -> ApplyReport:
        """Bring the difference base..head into the user's directory, all or nothing.

        Raises:
          WrongStateError: the execution is idle or running. ExecutionLockedError: another process has it.
          And as `Applier.apply`.
        """
        async with self._locked(execution_id):
            record = await self._blocking(self._journal.execution, execution_id)
            if record.state not in APPLY_ALLOWED:
                allowed = sorted(state.value for state in APPLY_ALLOWED)
                raise WrongStateError("apply", execution_id, record.state.value, allowed)
            report = await self._blocking(self._apply, record, force, tuple(allow), dry_run)
            if not dry_run:
                await self._tell(execution_id, EventKind.APPLY_COMPLETED, report)
            return report

    def _apply(self, record: ExecutionRecord, force: bool, allow: tuple[str, ...], dry_run: bool) -> ApplyReport:
        # Here and below: most commands only look, and applying is a good part of all code.
        from engine.checkpoints.apply import Applier, Origin, dry_run_report
        from engine.checkpoints.baseline import Baseline
        from engine.checkpoints.planning import ApplyOptions

        applier, options = Applier(self._home), ApplyOptions(force=force, allow=allow)
        project = Path(record.workspace)
        baseline = Baseline.from_records(self._journal.baseline(record.id))
        with self._comparer.compared(record.id, None, None) as found:
            if dry_run:
                plan = applier.plan(project, found.changes, baseline, options)
                plan.check()
                return dry_run_report(project, plan)
            origin = Origin(record.id, record.head)
            return applier.apply(project, found.changes, found.new, baseline, options, origin)

    async def undo(self, execution_id: str, *, dry_run: bool = False, force: bool = False) -> ApplyReport:
        """Take back the execution's latest apply that is not undone yet.

        Raises:
          NotFoundError: there is none. And as `Applier.undo`.
        """
        async with self._locked(execution_id):

            def take_back() -> ApplyReport:
                from engine.checkpoints.apply import Applier
                from engine.checkpoints.planning import ApplyOptions

                applier = Applier(self._home)
                apply_id = applier.last(execution_id)
                return applier.undo(apply_id, ApplyOptions(force=force), dry_run=dry_run)

            report = await self._blocking(take_back)
            if not dry_run:
                await self._tell(execution_id, EventKind.APPLY_UNDONE, report)
            return report

    def report(self, execution_id: str, apply_id: str) -> ApplyReport:
        """What an earlier apply or undo did, without its notes; "" names one with nothing to do. Blocking.

        Raises NotFoundError: no such execution or apply.
        """
        record = self._journal.execution(execution_id)
        if not apply_id:
            return ApplyReport(None, Path(record.workspace), False, (), (), (), ())
        from engine.checkpoints.apply import Applier  # as in `apply`

        return Applier(self._home).report(apply_id)

    def logs(self, execution_id: str, step_id: str | None = None) -> Iterator[tuple[str, int, Stream, Path]]:
        """What attempts printed: (step id, attempt, stream, file), in order; of one step when it is named. Blocking.

        Raises NotFoundError: no such step.
        """
        names = {step.index: step.id for step in self._journal.steps(execution_id)}
        if step_id is not None and step_id not in names.values():
            raise NotFoundError("step", step_id, difflib.get_close_matches(step_id, names.values(), 3))
        for log in self._logs.files(execution_id):
            if step_id in (None, names.get(log.step_index)):
                yield names[log.step_index], log.attempt, log.stream, log.path

    async def _tell(self, execution_id: str, kind: EventKind, report: ApplyReport) -> None:
        def change(tx: Transaction) -> None:
            tx.emit(
                execution_id,
                kind,
                None,
                apply=report.id,
                added=len(report.added),
                modified=len(report.modified),
                deleted=len(report.deleted),
            )

        await self._recorder.write(change)

    @asynccontextmanager
    async def _locked(self, execution_id: str) -> AsyncIterator[None]:
        lock = await self._blocking(self._locks.acquire, execution_id)
        try:
            yield
        finally:
            await self._blocking(self._locks.release, lock)
