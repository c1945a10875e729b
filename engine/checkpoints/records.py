"""What is written down about each apply, so that it can be finished, taken back and undone.

    applies/<id>/intent.json     what is to be done; before anything in the user's directory is touched
    applies/<id>/staged.json     the inodes of what was made ready; before anything is swapped
    applies/<id>/commit          its existence is the commit point
    applies/<id>/done.json       nothing is left to do

Without `commit` an apply is taken back, with it it is finished; without `intent.json` it never began.
Every file is whole or not there.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from engine.checkpoints.baseline import Root
from engine.checkpoints.names import sync_directory, write_durably
from engine.checkpoints.operations import Operation
from engine.checkpoints.swapping import Stayed
from engine.errors import JournalCorruptError, NotFoundError
from sandbox.errors import StoreBusyError

_VERSION: Final = 1
_ID: Final = re.compile(r"[0-9a-f]{12}-[0-9a-f]{6}")
_INTENT, _STAGED, _COMMIT, _DONE = "intent.json", "staged.json", "commit", "done.json"


class ApplyKind(StrEnum):
    """APPLY: an execution's changes. UNDO: takes a whole apply back. RESTORE: takes some of its paths back."""

    APPLY = "apply"
    UNDO = "undo"
    RESTORE = "restore"


class ApplyState(StrEnum):
    """STARTED: before the commit point. COMMITTED: after it. DONE: finished."""

    STARTED = "started"
    COMMITTED = "committed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Intent:
    """One apply. `project` is the directory; `root` which one it is. `of`: the apply that it takes back.

    execution_id and checkpoint: where the changes came from; "" when not known.
    """

    id: str
    kind: ApplyKind
    project: Path
    root: Root
    execution_id: str
    checkpoint: str
    of: str | None
    create_time: datetime
    operations: tuple[Operation, ...]


class ApplyRecords:
    """The records under one directory, and the locks of projects."""

    def __init__(self, home: Path) -> None:
        self.directory = home / "applies"
        self._locks = home / "locks"
        for directory in (self.directory, self._locks):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    # -- locks -----------------------------------------------------------------------------------

    @contextmanager
    def project_locked(self, device: int, inode: int) -> Iterator[None]:
        """One process at a time changes a project. Raises StoreBusyError: another one does now."""
        fd = os.open(self._locks / f"project-{device}-{inode}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
                raise StoreBusyError(f"process {owner} is applying changes to this directory") from None
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(fd)

    @contextmanager
    def _directory_locked(self) -> Iterator[None]:
        fd = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    # -- writing ---------------------------------------------------------------------------------

    def create(self, intent: Intent) -> None:
        """Write the intent down."""
        with self._directory_locked():
            directory = self.directory / intent.id
            directory.mkdir(mode=0o700)
            write_durably(directory / _INTENT, json.dumps(_to_json(intent)).encode())
            sync_directory(self.directory)

    def set_staged(self, apply_id: str, inodes: Mapping[bytes, int]) -> None:
        """All is ready; swapping may begin."""
        pairs = [[path.decode("utf-8", "surrogateescape"), inode] for path, inode in inodes.items()]
        write_durably(self.directory / apply_id / _STAGED, json.dumps(pairs).encode())

    def commit(self, apply_id: str) -> None:
        """From here on the apply is only ever finished."""
        write_durably(self.directory / apply_id / _COMMIT, b"")

    def finish(self, apply_id: str, stayed: Sequence[Stayed]) -> None:
        """Nothing is left to do."""
        kept = [[found.path.decode("utf-8", "surrogateescape"), found.reason] for found in stayed]
        write_durably(self.directory / apply_id / _DONE, json.dumps({"stayed": kept}).encode())

    def forget(self, apply_id: str) -> None:
        """Remove the record; the intent first, because without it the rest is rubbish."""
        directory = self.directory / apply_id
        with self._directory_locked():
            (directory / _INTENT).unlink(missing_ok=True)
            sync_directory(directory)
            shutil.rmtree(directory)
            sync_directory(self.directory)

    def remove_rubbish(self) -> None:
        """Remove records that never got an intent, or lost it on the way out."""
        with self._directory_locked():
            for directory in self.directory.iterdir():
                if _ID.fullmatch(directory.name) and not (directory / _INTENT).exists():
                    shutil.rmtree(directory)

    # -- reading ---------------------------------------------------------------------------------

    def ids(self) -> list[str]:
        """All applies, oldest first."""
        names = sorted(path.name for path in self.directory.iterdir() if _ID.fullmatch(path.name))
        return [name for name in names if (self.directory / name / _INTENT).exists()]

    def state(self, apply_id: str) -> ApplyState:
        """How far it got."""
        directory = self.directory / apply_id
        if (directory / _DONE).exists():
            return ApplyState.DONE
        return ApplyState.COMMITTED if (directory / _COMMIT).exists() else ApplyState.STARTED

    def load(self, apply_id: str) -> Intent:
        """Raises NotFoundError: no apply has this id. JournalCorruptError: its record is damaged."""
        if not _ID.fullmatch(apply_id):
            raise NotFoundError("apply", apply_id)
        path = self.directory / apply_id / _INTENT
        try:
            return _from_json(json.loads(path.read_bytes()))
        except FileNotFoundError:
            raise NotFoundError("apply", apply_id) from None
        except (ValueError, KeyError, TypeError) as error:
            advice = "compare the project with your own history, then remove the directory it is in"
            raise JournalCorruptError(str(path), str(error), advice) from error

    def staged(self, apply_id: str) -> dict[bytes, int] | None:
        """What `set_staged` wrote; None when it did not come so far. Raises JournalCorruptError."""
        path = self.directory / apply_id / _STAGED
        try:
            pairs = json.loads(path.read_bytes())
            return {str(name).encode("utf-8", "surrogateescape"): int(inode) for name, inode in pairs}
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise JournalCorruptError(str(path), str(error), "the apply cannot be taken back") from error


def _to_json(intent: Intent) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "id": intent.id,
        "kind": intent.kind.value,
        "project": str(intent.project),
        "root": {
            "device": intent.root.device,
            "inode": intent.root.inode,
            "start_ns": intent.root.start_ns,
            "boot_id": intent.root.boot_id,
        },
        "execution_id": intent.execution_id,
        "checkpoint": intent.checkpoint,
        "of": intent.of,
        "create_time": intent.create_time.isoformat(),
        "operations": [operation.to_record() for operation in intent.operations],
    }


def _from_json(data: dict[str, Any]) -> Intent:
    if data["version"] != _VERSION:
        raise ValueError(f"version {data['version']} is not known")
    return Intent(
        id=data["id"],
        kind=ApplyKind(data["kind"]),
        project=Path(data["project"]),
        root=Root(**data["root"]),
        execution_id=data["execution_id"],
        checkpoint=data["checkpoint"],
        of=data["of"],
        create_time=datetime.fromisoformat(data["create_time"]),
        operations=tuple(Operation.from_record(record) for record in data["operations"]),
    )
