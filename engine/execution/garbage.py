"""Garbage collection: old executions go whole; of those that stay, what no head and no named checkpoint needs.

An execution that is running, paused, kept, or in use by another process is never removed. Which ones go is a
pure function; removing them takes the execution's lock, deletes its layers top first, then its rows. Requests are
remembered for `REQUESTS_KEPT`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from engine.errors import ExecutionLockedError
from engine.execution.decide import ancestry
from engine.execution.locks import ExecutionLocks
from engine.execution.logs import LogStore
from engine.journal.journal import Journal
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord
from engine.journal.states import ENDED
from sandbox.errors import LayerInUseError, LayerNotFoundError
from sandbox.workspace.layer import LayerName, VolumeId
from sandbox.workspace.store import LayerStore

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


def unreachable(head: str, checkpoints: Sequence[CheckpointRecord]) -> list[CheckpointRecord]:
    """Checkpoints that neither the head nor a manual checkpoint stands on, newest first. Pure."""
    needed = {record.id for record in ancestry(checkpoints, head)}
    for record in checkpoints:
        if record.kind is CheckpointKind.MANUAL:
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
        """Collect; see the module's rules."""
        report = GarbageReport(dry_run=dry_run)
        executions = self._journal.executions(limit=1_000_000)
        going = [r for r in collectable(executions, now, older_than, keep) if not self._journal.kept(r.id)]
        gone = {record.id for record in going}
        for record in going:
            self._guarded(report, record, self._remove_execution)
        for record in executions:
            if record.id not in gone and record.state in ENDED and not self._journal.kept(record.id):
                self._guarded(report, record, self._prune)
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
                act(report, record)
        except (ExecutionLockedError, LayerInUseError) as error:
            report.skipped.append((record.id, str(error)))

    def _volumes(self, execution_id: str) -> list[VolumeId]:
        return [
            volume
            for volume in self._store.volumes()
            if volume == execution_id or volume.startswith(f"{execution_id}-")
        ]

    def _remove_execution(self, report: GarbageReport, record: ExecutionRecord) -> None:
        report.executions.append(record.id)
        volumes = self._volumes(record.id)
        if report.dry_run:
            return
        # The execution's own volume last: layers in the others stand on it.
        for volume in sorted(volumes, key=len, reverse=True):
            report.freed_bytes += self._store.disk_bytes(volume)
            self._store.remove_volume(volume)
        with self._journal.transaction() as tx:
            tx.delete_execution(record.id)
        self._logs.remove(record.id)
        self._locks.forget(record.id)

    def _prune(self, report: GarbageReport, record: ExecutionRecord) -> None:
        """Drop the side branches of an execution that stays."""
        checkpoints = self._journal.checkpoints(record.id)
        dropped = unreachable(record.head, checkpoints)
        if not dropped:
            return
        report.checkpoints.extend(f"{record.id}:{checkpoint.id}" for checkpoint in dropped)
        if report.dry_run:
            return
        gone = {checkpoint.id for checkpoint in dropped}
        still = {checkpoint.layer for checkpoint in checkpoints if checkpoint.id not in gone}
        layers = dict.fromkeys(
            checkpoint.layer for checkpoint in dropped if checkpoint.layer and checkpoint.layer not in still
        )
        with self._journal.transaction() as tx:
            tx.delete_checkpoints(record.id, [checkpoint.number for checkpoint in dropped])
        for volume in self._volumes(record.id):
            self._store.open_volume(volume)
        try:
            self._remove_layers(report, [layer for layer in layers if layer])
        finally:
            for volume in self._volumes(record.id):
                self._store.close_volume(volume)

    def _remove_layers(self, report: GarbageReport, layers: Sequence[LayerName]) -> None:
        """Children before parents."""
        ordered = sorted(layers, key=lambda name: self._store.stat(name).depth, reverse=True)
        for name in ordered:
            try:
                report.freed_bytes += self._store.usage(name).bytes
                self._store.remove(name)
            except LayerNotFoundError as error:
                report.skipped.append((name, str(error)))
