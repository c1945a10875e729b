"""Garbage collection: old executions go whole; of those that stay, what no head and no named checkpoint needs.

An execution that is running, paused, kept, or in use by another process is never removed. Which ones go is a
pure function; removing them takes the execution's lock, deletes its rows, then its volumes. What a fork stands on
stays: a volume until the fork is gone, of an execution that stays the checkpoints that were forked. Requests are
remembered for `REQUESTS_KEPT`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from engine.errors import ExecutionLockedError, NotFoundError
from engine.execution.decide import ancestry
from engine.execution.locks import ExecutionLocks
from engine.execution.logs import LogStore
from engine.execution.unowned import Standing, remove_loose, remove_unowned, volumes_of_owners
from engine.failpoints import EnginePoint
from engine.journal.journal import Journal
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord
from engine.journal.states import ENDED, ExecutionState
from sandbox.errors import LayerInUseError
from sandbox.failpoints import reached
from sandbox.workspace.layer import VolumeId
from sandbox.workspace.store import LayerStore

PAUSED: Final = "it is paused and may still go on"
REQUESTS_KEPT: Final = timedelta(days=7)
"""How long asking again with the same request does nothing twice."""


@dataclass(slots=True)
class GarbageReport:
    """What was removed, or with `dry_run` would be. skipped: (execution, why)."""

    dry_run: bool = False
    executions: list[str] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)
    rubbish: list[str] = field(default_factory=list)
    freed_bytes: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)


def collectable(
    executions: Sequence[ExecutionRecord], now: datetime, older_than: timedelta | None, keep: int | None
) -> list[ExecutionRecord]:
    """Those that go: ended, older than `older_than`, and not among the newest `keep`. Pure.

    `executions` are newest first. None leaves that condition out.
    """
    candidates = executions[keep:] if keep else executions
    return [
        record
        for record in candidates
        if record.state in ENDED and (older_than is None or now - (record.end_time or record.create_time) >= older_than)
    ]


def unreachable(
    head: str, checkpoints: Sequence[CheckpointRecord], forked: Collection[str] = ()
) -> list[CheckpointRecord]:
    """Checkpoints that neither the head, a manual checkpoint nor one of `forked` stands on, newest first. Pure."""
    needed = {record.id for record in ancestry(checkpoints, head)}
    for record in checkpoints:
        if record.kind is CheckpointKind.MANUAL or record.id in forked:
            needed |= {below.id for below in ancestry(checkpoints, record.id)}
    return [record for record in reversed(checkpoints) if record.id not in needed]


class GarbageCollector:
    """Removes what `collectable` and `unreachable` name. All blocking."""

    def __init__(self, journal: Journal, store: LayerStore, locks: ExecutionLocks, logs: LogStore) -> None:
        self._journal = journal
        self._store = store
        self._locks = locks
        self._logs = logs

    def collect(self, now: datetime, *, older_than: timedelta | None, keep: int | None, dry_run: bool) -> GarbageReport:
        """Collect; see the module's rules.

        Raises JournalCorruptError before anything is removed: what a damaged journal does not name is no rubbish.
        """
        self._journal.check()
        report = GarbageReport(dry_run=dry_run)
        executions = self._journal.executions(limit=1_000_000)
        going = [r for r in collectable(executions, now, older_than, keep) if not self._journal.kept(r.id)]
        gone = {record.id for record in going}
        if older_than is None and not keep:
            report.skipped += [(r.id, PAUSED) for r in executions if r.state is ExecutionState.PAUSED]
        for record in going:
            self._guarded(report, record, self._remove_execution)
        standing = Standing(self._store.walk())
        if not dry_run:
            unowned = remove_unowned(self._journal, self._store, self._locks, self._logs, standing)
            report.rubbish.extend(f"volumes/{volume}" for volume in unowned[0])
            report.freed_bytes += unowned[1]
        volumes = volumes_of_owners(self._store)
        for record in executions:
            if record.id not in gone and record.state in ENDED and not self._journal.kept(record.id):
                self._guarded(report, record, partial(self._prune, standing=standing, volumes=volumes))
        if not dry_run:
            with self._journal.transaction() as tx:
                tx.forget_requests(before=now - REQUESTS_KEPT)
            report.rubbish.extend(self._store.cleanup())
        return report

    def _guarded(
        self, report: GarbageReport, record: ExecutionRecord, act: Callable[[GarbageReport, ExecutionRecord], None]
    ) -> None:
        try:
            with self._locks.held(record.id):
                now = self._journal.execution(record.id)
                if now.state in ENDED:  # else somebody went on with it meanwhile
                    act(report, now)
        except (ExecutionLockedError, LayerInUseError, NotFoundError) as error:
            report.skipped.append((record.id, str(error)))

    def _remove_execution(self, report: GarbageReport, record: ExecutionRecord) -> None:
        report.executions.append(record.id)
        if report.dry_run:
            return
        volumes = volumes_of_owners(self._store)[record.id]
        with self._journal.transaction() as tx:
            tx.delete_execution(record.id)
        reached(EnginePoint.GC_ROWS_REMOVED)
        # The execution's own volume last: layers in the others stand on it.
        for volume in sorted(volumes, key=len, reverse=True):
            held = self._store.disk_bytes(volume)
            try:
                self._store.remove_volume(volume)
            except LayerInUseError:
                continue  # a fork stands on it, or somebody looks at it: from now on nobody owns it
            report.freed_bytes += held
        reached(EnginePoint.GC_VOLUMES_REMOVED)
        self._logs.remove(record.id)
        self._locks.forget(record.id)

    def _prune(
        self,
        report: GarbageReport,
        record: ExecutionRecord,
        *,
        standing: Standing,
        volumes: Mapping[str, Sequence[VolumeId]],
    ) -> None:
        """Drop the side branches of an execution that stays."""
        with self._journal.transaction() as tx:
            checkpoints = tx.checkpoints(record.id)
            dropped = unreachable(record.head, checkpoints, tx.forked_checkpoints(record.id))
            if not report.dry_run:
                tx.delete_checkpoints(record.id, [checkpoint.number for checkpoint in dropped])
        report.checkpoints.extend(f"{record.id}:{checkpoint.id}" for checkpoint in dropped)
        if report.dry_run:
            return
        reached(EnginePoint.GC_CHECKPOINTS_FORGOTTEN)
        named = {checkpoint.layer for checkpoint in checkpoints if checkpoint not in dropped}
        report.freed_bytes += remove_loose(self._store, standing, volumes.get(record.id, ()), named)
