"""Before an apply writes: is there room for it, and is everything that it replaces in the backup."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from typing import Final

from engine.checkpoints.contents import ContentStore
from engine.checkpoints.operations import Action, Operation
from engine.errors import ApplyConflictError, EnvironmentUnfitError
from sandbox.errors import HostDiskFullError, PathRefusedError
from sandbox.workspace.beneath import open_regular
from sandbox.workspace.display import display
from sandbox.workspace.manifest import EntryKind

ENTRY_BYTES: Final = 8192
"""Reckoned for each new entry besides its content: its inode, its name, what the last block wastes."""

RESERVE_BYTES: Final = 4 << 20
"""Left free beyond what is reckoned, for records and for whoever else writes."""


def check_room(root_fd: int, contents: ContentStore, operations: Sequence[Operation]) -> None:
    """Raises HostDiskFullError: the project's or the backups' file system has not the room that it takes.

    What is not compressible is reckoned as if it were not compressed. A file system that tells no number
    (0 blocks) is believed to have room.
    """
    placed = [op.after for op in operations if op.action is Action.PLACE and op.after is not None]
    needed = sum(goal.size + ENTRY_BYTES for goal in placed)
    _check(os.fstatvfs(root_fd), "the changes", needed)
    replaced = sum(op.before.size + ENTRY_BYTES for op in replaced_files(operations) if op.before is not None)
    _check(os.statvfs(contents.directory), "the backup of what they replace", replaced)


def _check(room: os.statvfs_result, purpose: str, needed: int) -> None:
    free = room.f_bavail * room.f_frsize
    if room.f_blocks and needed and needed + RESERVE_BYTES > free:
        raise HostDiskFullError(purpose, needed + RESERVE_BYTES, free)


def back_up(root_fd: int, contents: ContentStore, operations: Sequence[Operation]) -> None:
    """Keep every file that goes or gets another content.

    Raises ApplyConflictError: one is not what it was when the apply was planned. HostDiskFullError.
    EnvironmentUnfitError: the backups cannot be written. BackupCorruptError.
    """
    kept = set()
    needed = 0
    try:
        for operation in replaced_files(operations):
            path, before = operation.path, operation.before
            fd = _open(root_fd, path)
            try:
                needed = os.fstat(fd).st_size
                digest = contents.put(fd)
            finally:
                os.close(fd)
            if before is None or digest != before.digest:
                raise ApplyConflictError([(display(path), "was changed while it was backed up")])
            kept.add(digest)
        contents.settle(kept)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            reason = f"what would be replaced cannot be kept: {error.strerror}"
            raise EnvironmentUnfitError(reason, "nothing was changed") from error
        room = os.statvfs(contents.directory)
        free = room.f_bavail * room.f_frsize
        raise HostDiskFullError("the backup of what is replaced", needed, free) from error


def _open(root_fd: int, path: bytes) -> int:
    try:
        return open_regular(root_fd, path)
    except PathRefusedError as error:
        raise ApplyConflictError([(error.path, error.reason)]) from error


def replaced_files(operations: Sequence[Operation]) -> Iterator[Operation]:
    """Those that take a regular file away."""
    for operation in operations:
        was_file = operation.before is not None and operation.before.kind is EntryKind.FILE
        if was_file and operation.action in (Action.PLACE, Action.REMOVE):
            yield operation
