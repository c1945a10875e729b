"""Names in a directory: what they are, moving and exchanging them, writing them so that they last.

Every function takes a directory's descriptor and a single name in it, so that nothing that happens to
the way there matters. A move never replaces what is at its new name.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sandbox.workspace.beneath import DIRECTORY, LOOK, open_beneath
from sandbox.workspace.manifest import parent

SYNC_ALL_FROM: Final = 64
"""From so many files or directories on, one sync of the file system costs less than one for each."""

_NOREPLACE: Final = 1
_EXCHANGE: Final = 2
_UNSUPPORTED: Final = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def directory_of(root_fd: int, path: bytes) -> Iterator[tuple[int, bytes]]:
    """The directory that `path` is in, open, and the last part of `path`.

    Raises OSError: ELOOP, EXDEV as `open_beneath`.
    """
    fd = open_beneath(root_fd, parent(path) or b".", DIRECTORY)
    try:
        yield fd, path.rpartition(b"/")[2]
    finally:
        os.close(fd)


def look(directory_fd: int, name: bytes) -> os.stat_result | None:
    """What has this name; None when nothing has. Links are not followed."""
    try:
        return os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def move(directory_fd: int, old: bytes, new: bytes) -> None:
    """Give `old` the name `new`. Raises FileExistsError: the name is taken; FileNotFoundError."""
    try:
        _rename(directory_fd, old, new, _NOREPLACE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        # This file system cannot promise it: what is left is to look first.
        if look(directory_fd, new) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new) from None
        os.rename(old, new, src_dir_fd=directory_fd, dst_dir_fd=directory_fd)


def exchange(directory_fd: int, one: bytes, other: bytes, spare: bytes) -> None:
    """Each gets the name of the other, at once where the file system can.

    Where it cannot, `spare` is used in between: see `straighten`. Raises FileNotFoundError.
    """
    try:
        _rename(directory_fd, one, other, _EXCHANGE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        move(directory_fd, other, spare)
        move(directory_fd, one, other)
        move(directory_fd, spare, one)


def straighten(directory_fd: int, one: bytes, other: bytes, spare: bytes) -> None:
    """After an `exchange` that may have been cut short: as before it, or as after it. Idempotent."""
    if look(directory_fd, spare) is None:
        return
    move(directory_fd, spare, other if look(directory_fd, other) is None else one)


def _rename(directory_fd: int, old: bytes, new: bytes, flag: int) -> None:
    if _libc.renameat2(directory_fd, old, directory_fd, new, flag) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), os.fsdecode(old))


def change_mode(directory_fd: int, name: bytes, mode: int) -> None:
    """Set the permission bits of a file or directory; a link in its place is not followed."""
    fd = open_beneath(directory_fd, name, LOOK)
    try:
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(name))
        os.chmod(f"/proc/self/fd/{fd}", mode)  # by the descriptor itself: fchmod refuses O_PATH
    finally:
        os.close(fd)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` last."""
    fd = os.open(directory, DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file_system(directory: Path | int) -> None:
    """Have everything on the disk that was written to the file system of `directory`."""
    fd = os.dup(directory) if isinstance(directory, int) else os.open(directory, DIRECTORY)
    try:
        if _libc.syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(fd)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, also after a power cut; mode 0600."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(unfinished, path)
    sync_directory(path.parent)
