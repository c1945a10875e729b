"""Changes as a file to take elsewhere: a patch, or a tar of what is new and a list of what is gone.

The tar is the same bytes for the same changes: sorted, owner 0, time 0, modes without special bits.

    deleted          paths that are gone, each ended by a NUL
    files/<path>     what was added or changed; `tar -x --strip-components=1` of these gives them in place

A file is written without a name (where the file system can; else beside its place) and named when it is whole, so
that it is there whole or not at all, and a kill leaves nothing.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from engine.checkpoints.names import sync_directory
from engine.checkpoints.patch import LeftOut
from engine.checkpoints.protected import normal_mode
from engine.checkpoints.sides import Side
from engine.failpoints import EnginePoint
from sandbox.failpoints import reached
from sandbox.workspace.changes import Change, Tree
from sandbox.workspace.manifest import Entry, EntryKind

DELETED: Final = "deleted"
FILES: Final = "files/"


@contextmanager
def written(target: Path) -> Iterator[BinaryIO]:
    """A file to write; at the end of the block, if that is reached, it becomes `target`.

    What is no regular file (a FIFO, a device) is written to as it is.
    Raises OSError: it cannot be written there; `target` is as it was.
    """
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            yield file
        return
    unfinished = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.unfinished")
    try:
        fd, nameless = _nameless(target.parent), True
        if fd < 0:
            fd, nameless = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), False
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(target)) from error
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            reached(EnginePoint.EXPORT_WRITTEN)
            if nameless:
                # With a descriptor of any directory Python follows the link, which is what names the file.
                os.link(f"/proc/self/fd/{fd}", unfinished, src_dir_fd=fd, follow_symlinks=True)
        os.replace(unfinished, target)
        reached(EnginePoint.EXPORT_PLACED)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)


def _nameless(directory: Path) -> int:
    """A file in `directory` that goes by itself when the process dies; -1 where there is no such thing."""
    try:
        return os.open(directory, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        return -1


def write_tar(found: Sequence[Change], new: Tree, out: BinaryIO) -> list[LeftOut]:
    """Write the whole tar to `out`; returns what cannot be in it (special files).

    Raises LayerCorruptError: a content is not what was recorded. OSError: `out` cannot be written.
    """
    left_out = []
    deleted = b"".join(change.path + b"\0" for change in found if change.new is None)
    with tarfile.open(
        fileobj=out, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        _add(tar, _member(DELETED, 0o644, len(deleted)), io.BytesIO(deleted))
        for change in found:
            entry = change.new
            if entry is None:
                continue
            member = _member_of(entry, change.old)
            if member is None:
                left_out.append(LeftOut(change.path, f"is a {entry.kind.value}"))
            elif entry.kind is EntryKind.FILE:
                _add(tar, member, _Reader(Side(new, entry).chunks()))
            else:
                _add(tar, member, None)
    return left_out


def _member(name: str, mode: int, size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode, member.size, member.mtime = mode, size, 0
    return member


def _member_of(entry: Entry, before: Entry | None) -> tarfile.TarInfo | None:
    """None: tar could hold it, but nobody should unpack it."""
    name = FILES + entry.path.decode("utf-8", "surrogateescape")
    mode = normal_mode(entry.mode, None if before is None else before.mode)
    match entry.kind:
        case EntryKind.FILE:
            return _member(name, mode, entry.size)
        case EntryKind.DIRECTORY:
            member = _member(name, mode)
            member.type = tarfile.DIRTYPE
            return member
        case EntryKind.SYMLINK:
            member = _member(name, 0o777)
            member.type = tarfile.SYMTYPE
            member.linkname = entry.target.decode("utf-8", "surrogateescape")
            return member
        case _:
            return None


def _add(tar: tarfile.TarFile, member: tarfile.TarInfo, content: io.BytesIO | _Reader | None) -> None:
    tar.addfile(member, content)  # type: ignore[arg-type]
    if isinstance(content, _Reader):
        content.finish()


class _Reader:
    """Chunks as a file that can be read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes, or what is left."""
        while len(self._rest) < size and (chunk := next(self._chunks, b"")):
            self._rest += chunk
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    def finish(self) -> None:
        """Have the content compared with its record: `chunks` does that at its end."""
        for _ in self._chunks:
            pass
