"""`BackupService`: what applies replaced, kept by content and compressed, to look at, check and restore.

Every apply (and every undo, and every restore) keeps each file that it takes away; its record tells
which content was where, with modes, links, directories and times. Restoring goes the way of an apply:
all or nothing, with a record of its own, and every content compared with its sha256 as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from engine.checkpoints.apply import DEFAULT_OPTIONS, Applier, ApplyReport
from engine.checkpoints.backing import replaced_files
from engine.checkpoints.baseline import Seen
from engine.checkpoints.contents import ContentStore, Swept
from engine.checkpoints.planning import ApplyOptions
from engine.checkpoints.records import ApplyKind, ApplyRecords, ApplyState, Intent
from engine.clock import Clock, SystemClock
from engine.errors import NotFoundError
from sandbox.workspace.display import display
from sandbox.workspace.manifest import EntryKind


@dataclass(frozen=True, slots=True)
class Backup:
    """What one apply replaced. files, file_bytes: kept contents, uncompressed. `of`: what it took back."""

    apply_id: str
    kind: ApplyKind
    project: Path
    execution_id: str
    checkpoint: str
    create_time: datetime
    of: str | None
    files: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What `collect` removed, or with `dry_run` would: applies that can no longer be undone, and contents."""

    apply_ids: tuple[str, ...]
    contents: int
    disk_bytes: int


class BackupService:
    """The backups under one home directory. Blocking."""

    def __init__(self, home: Path, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._records = ApplyRecords(home)
        self._contents = ContentStore(home / "backups")
        self._applier = Applier(home, self._clock)

    # -- looking ---------------------------------------------------------------------------------

    def backups(self, execution_id: str | None = None) -> list[Backup]:
        """All backups (of one execution), oldest first. Raises JournalCorruptError: a record is damaged."""
        return [
            _backup(intent)
            for intent in self._finished()
            if execution_id is None or intent.execution_id == execution_id
        ]

    def entries(self, apply_id: str) -> dict[bytes, Seen | None]:
        """What each path had before the apply; None: nothing. Raises NotFoundError, JournalCorruptError."""
        return {operation.path: operation.before for operation in self._records.load(apply_id).operations}

    def read(self, apply_id: str, path: bytes) -> Iterator[bytes]:
        """The content that the file `path` had before the apply, in chunks.

        Raises NotFoundError: no such apply, or it replaced no file there. BackupCorruptError, at the end at
        the latest: what came before is not to be used then.
        """
        for operation in replaced_files(self._records.load(apply_id).operations):
            if operation.path == path and operation.before is not None:
                return self._contents.read(operation.before.digest)
        raise NotFoundError("replaced file", display(path))

    def verify(self, apply_id: str) -> int:
        """Read back everything that the apply replaced; returns how many bytes that are.

        Raises NotFoundError, JournalCorruptError. BackupCorruptError: the first content that is damaged.
        """
        digests = _digests(self._records.load(apply_id))
        return sum(self._contents.verify(digest) for digest in sorted(digests))

    # -- restoring -------------------------------------------------------------------------------

    def restore(
        self, apply_id: str, paths: Sequence[bytes] | None = None, options: ApplyOptions = DEFAULT_OPTIONS
    ) -> ApplyReport:
        """Bring back what was there before the apply: everything, or what is at and below `paths`.

        All or nothing. Raises as `Applier.undo`: a path that changed since is a conflict.
        """
        if paths is None:
            return self._applier.undo(apply_id, options)
        return self._applier.restore(apply_id, paths, options)

    # -- care ------------------------------------------------------------------------------------

    def collect(
        self,
        *,
        older_than: timedelta | None = None,
        is_gone: Callable[[str], bool] = lambda _: False,
        keep_bytes: int | None = None,
        dry_run: bool = False,
    ) -> Collected:
        """Forget applies that are older than `older_than`, those of executions that `is_gone` says are gone,
        and then the oldest ones until what is kept takes at most `keep_bytes` on disk; remove the contents that
        no apply refers to any more.

        Applies that are not finished are never forgotten.
        """
        finished = self._finished()
        doomed = [
            intent
            for intent in finished
            if self._is_old(intent, older_than) or (intent.execution_id and is_gone(intent.execution_id))
        ]
        kept = [intent for intent in finished if intent not in doomed]
        if keep_bytes is not None:
            while kept and self._disk_bytes(kept) > keep_bytes:
                doomed.append(kept.pop(0))
        ids = tuple(intent.id for intent in doomed)
        if dry_run:
            digests = self._referred(without=frozenset(ids))
            gone = {d for intent in doomed for d in _digests(intent)} - digests
            return Collected(ids, len(gone), sum(self._contents.disk_bytes(digest) for digest in gone))
        for apply_id in ids:
            self._records.forget(apply_id)
        swept: Swept = self._contents.sweep(self._referred)
        return Collected(ids, swept.contents, swept.disk_bytes)

    def _is_old(self, intent: Intent, older_than: timedelta | None) -> bool:
        return older_than is not None and intent.create_time < self._clock.now() - older_than

    def _disk_bytes(self, intents: Sequence[Intent]) -> int:
        digests = {digest for intent in intents for digest in _digests(intent)}
        return sum(self._contents.disk_bytes(digest) for digest in digests)

    def _finished(self) -> list[Intent]:
        ids = self._records.ids()
        return [self._records.load(name) for name in ids if self._records.state(name) is ApplyState.DONE]

    def _referred(self, without: frozenset[str] = frozenset()) -> set[str]:
        """Every content that some apply may still need, finished or not."""
        intents = (self._records.load(name) for name in self._records.ids() if name not in without)
        return {digest for intent in intents for digest in _digests(intent)}


def _digests(intent: Intent) -> set[str]:
    return {op.before.digest for op in replaced_files(intent.operations) if op.before is not None}


def _backup(intent: Intent) -> Backup:
    kept = [op.before for op in replaced_files(intent.operations) if op.before is not None]
    return Backup(
        apply_id=intent.id,
        kind=intent.kind,
        project=intent.project,
        execution_id=intent.execution_id,
        checkpoint=intent.checkpoint,
        create_time=intent.create_time,
        of=intent.of,
        files=len(kept),
        file_bytes=sum(seen.size for seen in kept if seen.kind is EntryKind.FILE),
    )
