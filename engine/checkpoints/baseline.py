"""What the user's directory had, path by path, when an execution started to change its view of it.

A path is recorded once, when the first layer that changes it is sealed; the directory itself is
recorded when the execution starts. `compare` says later whether the user's file is still the one that
the steps saw. Rules: recording never writes to the directory and never follows a link; a file that
somebody writes while it is recorded is no error, it counts as changed from then on; records are plain
JSON, keyed by path, and the key b"" (no path of a tree) is the directory's own record.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sandbox.errors import PathRefusedError, TreeRefusedError
from sandbox.workspace.beneath import DIRECTORY, LOOK, REGULAR, open_beneath, opened
from sandbox.workspace.display import display
from sandbox.workspace.manifest import EntryKind, Manifest
from sandbox.workspace.tree import digest_of, entry_of

DIGEST_BUDGET_BYTES: Final = 256 << 20
"""Content read for digests in one `record`; files beyond it are told apart by inode, size and times."""

ROOT_KEY: Final = b""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was at one path of the user's directory when somebody looked.

    mode: permission bits (0o7777). digest: sha256 (hex) of a file, "" when it was not read.
    target: a symlink's text. links: hard links of a file.
    """

    kind: EntryKind
    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    links: int
    uid: int
    gid: int
    digest: str = ""
    target: bytes = b""

    def to_record(self) -> Record:
        """JSON-able; inverse of `from_record`."""
        return asdict(self) | {"kind": self.kind.value, "target": _text(self.target)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Seen:
        """Raises KeyError, TypeError or ValueError on anything that `to_record` did not make."""
        known = dict(record)
        kind, target = EntryKind(known.pop("kind")), str(known.pop("target"))
        return cls(kind=kind, target=target.encode("utf-8", "surrogateescape"), **known)


@dataclass(frozen=True, slots=True)
class Root:
    """Which directory it was, and when the execution started (wall clock, as file times are).

    boot_id: of the machine; device numbers mean something only until it starts again.
    """

    device: int
    inode: int
    start_ns: int
    boot_id: str

    def is_same(self, status: os.stat_result, boot_id: str) -> bool:
        """Whether `status` is this directory."""
        return status.st_ino == self.inode and (boot_id != self.boot_id or status.st_dev == self.device)


@dataclass(frozen=True, slots=True)
class Baseline:
    """Everything recorded for one execution. A path in `entries` with None: nothing was there."""

    root: Root
    entries: Mapping[bytes, Seen | None]

    @classmethod
    def from_records(cls, records: Mapping[bytes, Record | None]) -> Baseline:
        """From what `begin` and `record` gave. Raises KeyError, TypeError or ValueError on anything else."""
        root = records[ROOT_KEY]
        if root is None:
            raise ValueError("the directory itself has no record")
        entries = {
            path: None if entry is None else Seen.from_record(entry)
            for path, entry in records.items()
            if path != ROOT_KEY
        }
        return cls(Root(**root), entries)


def begin(directory: Path) -> dict[bytes, Record | None]:
    """The record of the directory itself, to be made before the first step runs.

    Raises TreeRefusedError: it is not a directory.
    """
    with opened(directory) as root_fd:
        status = os.fstat(root_fd)
    return {ROOT_KEY: asdict(Root(status.st_dev, status.st_ino, time.time_ns(), current_boot_id()))}


def current_boot_id() -> str:
    """Changes when the machine starts; "" where the kernel does not tell."""
    try:
        return _BOOT_ID.read_text("utf-8").strip()
    except OSError:
        return ""


def record(
    directory: Path, layer: Manifest, known: Mapping[bytes, object], hide: Manifest | None = None
) -> dict[bytes, Record | None]:
    """What `directory` has now at each path that `layer` changes and that is not in `known`.

    Where the layer hides a whole directory of the base, everything in it is recorded too. What `hide`
    names counts as absent, as the steps saw it.
    Raises TreeRefusedError: the directory or something in it cannot be read or has a mount in it.
    """
    with opened(directory) as root_fd:
        recorder = _Recorder(root_fd, hide or Manifest())
        found: dict[bytes, Record | None] = {}
        for entry in layer:
            whole = entry.opaque or entry.kind is not EntryKind.DIRECTORY
            for path, seen in recorder.visit(entry.path, whole):
                if path not in known and path not in found:
                    found[path] = None if seen is None else seen.to_record()
    return found


class _Recorder:
    """Looks at paths of one directory; reads content until the budget is used up."""

    def __init__(self, root_fd: int, hide: Manifest) -> None:
        self._root_fd = root_fd
        self._hide = hide
        self._budget = DIGEST_BUDGET_BYTES

    def visit(self, path: bytes, whole: bool) -> Iterator[tuple[bytes, Seen | None]]:
        """`path`, and with `whole` everything below it."""
        waiting = [path]
        while waiting:
            path = waiting.pop()
            seen = None if self._hide.hides(path) else self._observe(path)
            yield path, seen
            if whole and seen is not None and seen.kind is EntryKind.DIRECTORY:
                waiting += [path + b"/" + name for name in self._names(path)]

    def _observe(self, path: bytes) -> Seen | None:
        try:
            seen = observe(self._root_fd, path, self._budget)
        except PathRefusedError:
            return None  # the way leads through a link: for overlayfs nothing is there
        if seen is not None and seen.digest:
            self._budget -= seen.size
        return seen

    def _names(self, directory: bytes) -> list[bytes]:
        try:
            fd = open_beneath(self._root_fd, directory, DIRECTORY)
        except OSError as error:
            raise TreeRefusedError(display(directory), f"cannot be read: {error.strerror}") from error
        try:
            return sorted(os.fsencode(name) for name in os.listdir(fd))
        finally:
            os.close(fd)


def observe(root_fd: int, path: bytes, digest_bytes: int = 1 << 62) -> Seen | None:
    """What is at `path` below the directory now; None when nothing is.

    The content of a file of at most `digest_bytes` is read; a file that cannot be read, or is written
    at the same time, has no digest.
    Raises PathRefusedError: the way there leads through a symbolic link or a mount.
    """
    try:
        fd = open_beneath(root_fd, path, LOOK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        reasons = {errno.ELOOP: "goes through a symbolic link", errno.EXDEV: "something is mounted there"}
        reason = reasons.get(error.errno or 0) or f"cannot be looked at: {error.strerror}"
        raise PathRefusedError(display(path), reason) from error
    try:
        status = os.fstat(fd)
        target = os.readlink(b"", dir_fd=fd) if stat.S_ISLNK(status.st_mode) else b""
    finally:
        os.close(fd)
    readable = stat.S_ISREG(status.st_mode) and status.st_size <= digest_bytes
    return seen_of(path, status, target, _digest(root_fd, path, status) if readable else "")


def seen_of(path: bytes, status: os.stat_result, target: bytes = b"", digest: str = "") -> Seen:
    """The record that a stat result tells."""
    entry = entry_of(path, status)
    kind = EntryKind.CHARDEV if entry.kind is EntryKind.WHITEOUT else entry.kind
    return Seen(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        size=entry.size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        inode=status.st_ino,
        links=status.st_nlink,
        uid=status.st_uid,
        gid=status.st_gid,
        digest=digest,
        target=target,
    )


def _digest(root_fd: int, path: bytes, status: os.stat_result) -> str:
    """sha256 of the file that `status` describes, "" when it cannot be read or is not the same any more."""
    try:
        fd = open_beneath(root_fd, path, REGULAR)
    except OSError:
        return ""
    try:
        if os.fstat(fd).st_ino != status.st_ino:
            return ""
        return digest_of(fd, status.st_size, path)
    except TreeRefusedError:
        return ""
    finally:
        os.close(fd)


def compare(then: Seen | None, now: Seen | None, start_ns: int) -> str | None:
    """Why `now` is not what the execution started from; None when it is.

    A file or link whose inode changed after `start_ns` counts as changed even when the record was made
    after that: earlier steps may have seen what was there before. Of a directory only kind and mode count.
    """
    if then is None or now is None:
        if then is now:
            return None
        return "was created meanwhile" if then is None else "was deleted meanwhile"
    if then.kind is not now.kind:
        return f"was a {_WORDS[then.kind]}, is a {_WORDS[now.kind]} now"
    if then.kind is not EntryKind.SYMLINK and then.mode != now.mode:
        return f"its mode was changed from {then.mode:04o} to {now.mode:04o}"
    if then.kind is EntryKind.DIRECTORY:
        return None
    if then.ctime_ns > start_ns:
        return "was changed while the execution ran"
    if then.kind is EntryKind.SYMLINK:
        return None if then.target == now.target else "points somewhere else now"
    return _compare_content(then, now)


def _compare_content(then: Seen, now: Seen) -> str | None:
    if then.size != now.size:
        return f"has {now.size} bytes now, had {then.size}"
    if then.digest and now.digest:
        if then.digest == now.digest:
            return None
        return f"its content was changed (sha256 {then.digest[:12]} then, {now.digest[:12]} now)"
    if (then.inode, then.mtime_ns, then.ctime_ns) == (now.inode, now.mtime_ns, now.ctime_ns):
        return None
    return "was written meanwhile"


_WORDS: Final = {
    EntryKind.FILE: "file",
    EntryKind.DIRECTORY: "directory",
    EntryKind.SYMLINK: "symbolic link",
    EntryKind.WHITEOUT: "device",
    EntryKind.FIFO: "FIFO",
    EntryKind.SOCKET: "socket",
    EntryKind.CHARDEV: "device",
    EntryKind.BLOCKDEV: "device",
}


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
