"""Direct changes of an active layer, for steps that run no code: nothing is mounted, no container starts.

What is written is what overlayfs would have written into the upper directory: changed files whole,
directories on the way to them with the attributes of those below, whiteouts for what is gone. One
thing is written otherwise: a directory that is deleted and made again is not marked opaque, which
takes CAP_SYS_ADMIN, but gets a whiteout for each name that the directory below has. Device 0:0 is the
one device node that an ordinary user may make.

Rules: no process may write to the layer at the same time; every path is checked by `check_path` and
then walked from the layer's root without following a link; an edit that raises leaves the layer in an
unknown state, and the layer is thrown away.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from sandbox.errors import PathRefusedError, TreeRefusedError
from sandbox.workspace.beneath import DIRECTORY, open_beneath, opened, read_regular
from sandbox.workspace.changes import Tree
from sandbox.workspace.display import display
from sandbox.workspace.manifest import Entry, EntryKind, ancestors, parent
from sandbox.workspace.tree import DEFAULT_LIMITS, chmod_beneath, entry_of, read_xattrs, rmtree

MAX_PATH_BYTES: Final = 4095
MAX_NAME_BYTES: Final = 255
WHOLE_TREE: Final = "tree"
"""Last part of `LayerStore.upper` where a store keeps whole copies: nothing below shines through them."""

_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]|\\")
_NEW_DIRECTORY: Final = 0o755
_NEW_FILE: Final = 0o644


def check_path(path: str | bytes) -> bytes:
    """The path as manifests have it, when it can only mean a place inside the workspace.

    A check of the text alone: links are met, and refused, when the path is walked.
    Raises PathRefusedError: empty, absolute, from a home directory or a drive, with `.` or `..` or empty
    parts, with a NUL, not Unicode text, deeper than a layer may be, a part over 255 bytes, or over 4095.
    """
    try:
        raw = path.encode() if isinstance(path, str) else path
    except UnicodeEncodeError as error:
        raise PathRefusedError(ascii(path)[1:-1], "is not Unicode text") from error
    text = raw.decode("utf-8", "surrogateescape")
    reason = _lexical_fault(text) or _size_fault(raw)
    if reason:
        raise PathRefusedError(display(raw[:256]), reason)
    return raw


def _lexical_fault(path: str) -> str:
    if not path:
        return "is empty"
    if path.startswith("/") or _DRIVE.match(path):
        return "is absolute; paths are relative to the workspace"
    if path.startswith("~"):
        return "starts with ~, which is not expanded"
    if "\0" in path:
        return "has a NUL character"
    parts = path.split("/")
    if ".." in parts:
        return "has a .. part"
    if "." in parts or "" in parts:
        return "has an empty or . part"
    return ""


def _size_fault(path: bytes) -> str:
    if len(path) > MAX_PATH_BYTES:
        return f"is longer than {MAX_PATH_BYTES} bytes"
    parts = path.split(b"/")
    if any(len(part) > MAX_NAME_BYTES for part in parts):
        return f"has a part longer than {MAX_NAME_BYTES} bytes"
    if len(parts) > DEFAULT_LIMITS.depth:
        return f"is deeper than {DEFAULT_LIMITS.depth} levels"
    return ""


class NothingBelow:
    """The empty `Tree`: what is below a layer that is a whole copy."""

    def lookup(self, path: bytes) -> Entry | None:
        return None

    def children(self, directory: bytes) -> Iterator[Entry]:
        return iter(())

    def digest(self, path: bytes) -> str:
        raise PathRefusedError(display(path), "does not exist")

    def xattrs(self, path: bytes) -> tuple[tuple[bytes, bytes], ...]:
        return ()

    def open_file(self, path: bytes) -> int:
        raise PathRefusedError(display(path), "does not exist")


@contextmanager
def editing(upper: Path, below: Tree, owner: tuple[int, int] | None = None) -> Iterator[Edit]:
    """An `Edit` of the directory that `LayerStore.upper` gave, over the merged tree of the layer's parent.

    For a store that keeps whole copies (the directory is called `tree`) `below` is not used.
    Raises TreeRefusedError: `upper` is not a directory.
    """
    with opened(upper) as fd:
        yield Edit(fd, NothingBelow() if upper.name == WHOLE_TREE else below, owner)


class Edit:
    """Changes files of one active layer. Sees what it wrote before.

    upper_fd: the layer's directory. below: the merged tree under it. owner: uid and gid that what is
    new shall belong to; used as root only, else it belongs to the caller. What replaces a file belongs
    to `owner` too.
    """

    def __init__(self, upper_fd: int, below: Tree, owner: tuple[int, int] | None = None) -> None:
        self._upper_fd = upper_fd
        self._below = below
        self._owner = owner if os.geteuid() == 0 else None

    # -- reading ---------------------------------------------------------------------------------

    def lookup(self, path: str | bytes) -> Entry | None:
        """What a step would see at `path` now; as `Tree.lookup`. Raises PathRefusedError: not a path."""
        return self._seen(check_path(path))

    def _seen(self, path: bytes) -> Entry | None:
        for above in ancestors(path):
            own = self._own(above)
            if own is None:
                return self._below.lookup(path)
            if own.kind is not EntryKind.DIRECTORY:
                return None
            if own.opaque:
                return _visible(self._own(path))
        own = self._own(path)
        return self._below.lookup(path) if own is None else _visible(own)

    def read_file(self, path: str | bytes, cap_bytes: int) -> bytes:
        """The content of the regular file `path`.

        Raises PathRefusedError: not a path, or no regular file there; TreeRefusedError: over `cap_bytes`.
        """
        checked = check_path(path)
        self._must_be_file(checked, self._seen(checked))
        if self._own(checked) is not None:
            return read_regular(self._upper_fd, checked, cap_bytes)
        fd = self._below.open_file(checked)
        try:
            return _read_all(fd, checked, cap_bytes)
        finally:
            os.close(fd)

    # -- changing --------------------------------------------------------------------------------

    def write_file(self, path: str | bytes, content: bytes, mode: int | None = None) -> None:
        """Create the file `path`, or give it new content; missing directories are made.

        mode: permission bits; without, a new file gets 0644 and an old one keeps its own less setuid,
        setgid and sticky, as after any write. An old file keeps its `user.*` attributes.

        Raises PathRefusedError: not a path, it goes through something that is no directory, or it is a
        directory, a link or a special file.
        """
        checked = check_path(path)
        current = self._seen(checked)
        if current is not None:
            self._must_be_file(checked, current)
        xattrs = self._xattrs(checked) if current is not None else ()
        if mode is None:
            mode = _NEW_FILE if current is None else current.mode & 0o777
        with self._parent(checked, keep_time=current is not None) as (directory_fd, name):
            _unlink(directory_fd, name)
            self._create(directory_fd, name, content, mode, xattrs)

    def delete(self, path: str | bytes, recursive: bool = False) -> None:
        """Delete the file `path`; with `recursive`, also a directory and all that is in it.

        Raises PathRefusedError: not a path, nothing there, a link or a special file, or a directory
        without `recursive`.
        """
        checked = check_path(path)
        current = self._seen(checked)
        if current is None:
            raise PathRefusedError(display(checked), "does not exist")
        if not (recursive and current.kind is EntryKind.DIRECTORY):
            self._must_be_file(checked, current)
        with self._parent(checked) as (directory_fd, name):
            rmtree(directory_fd, name)
            if self._below.lookup(checked) is not None:
                _whiteout(directory_fd, name)

    def hide(self, path: bytes) -> None:
        """Make `path` invisible, whatever is there below, also a directory or a link; nothing below: no change.

        `path` is one of a manifest: names that a plan may not use (`~x`) can be hidden.
        Raises PathRefusedError: it goes through something that is no directory.
        """
        if self._below.lookup(path) is None:
            return
        with self._parent(path, keep_time=True) as (directory_fd, name):
            rmtree(directory_fd, name)
            _whiteout(directory_fd, name)

    # -- the layer's own entries -----------------------------------------------------------------

    def _own(self, path: bytes) -> Entry | None:
        """What the layer itself has at `path`, whiteouts included; no digest."""
        try:
            directory_fd = open_beneath(self._upper_fd, parent(path) or b".", DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return self._own_in(directory_fd, path)
        finally:
            os.close(directory_fd)

    def _own_in(self, directory_fd: int, path: bytes) -> Entry | None:
        name = path.rpartition(b"/")[2]
        try:
            status = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        entry = entry_of(path, status)
        if entry.kind is not EntryKind.DIRECTORY:
            return entry
        fd = open_beneath(directory_fd, name, DIRECTORY)
        try:
            xattrs, opaque = read_xattrs(fd, path)
        finally:
            os.close(fd)
        return Entry(path, entry.kind, entry.mode, mtime_ns=entry.mtime_ns, xattrs=xattrs, opaque=opaque)

    def _xattrs(self, path: bytes) -> tuple[tuple[bytes, bytes], ...]:
        if self._own(path) is None:
            return self._below.xattrs(path)
        fd = open_beneath(self._upper_fd, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return read_xattrs(fd, path)[0]
        finally:
            os.close(fd)

    @contextmanager
    def _parent(self, path: bytes, keep_time: bool = False) -> Iterator[tuple[int, bytes]]:
        """The directory of `path` in the layer, made if it is not there, and the last part of `path`.

        Directories that came from below keep their time of change, the last one only with `keep_time`:
        for a step, names appeared or went in that one alone, if at all. Modes are set at the end, so that
        a directory which its owner may not write can still be changed by an ordinary user.
        """
        with ExitStack() as open_directories:
            current = os.dup(self._upper_fd)
            open_directories.callback(os.close, current)
            entered: list[tuple[int, int, int | None]] = []
            for directory in ancestors(path):
                own = self._own_in(current, directory)
                seen = _visible(own or self._below.lookup(directory))
                current = self._enter(current, directory, own, seen)
                open_directories.callback(os.close, current)
                entered.append((current, seen.mode, seen.mtime_ns) if seen else (current, _NEW_DIRECTORY, None))
            yield current, path.rpartition(b"/")[2]
            for fd, mode, mtime_ns in entered:
                os.fchmod(fd, mode)
                if mtime_ns is not None and (keep_time or fd != current):
                    os.utime(fd, ns=(mtime_ns, mtime_ns))

    def _enter(self, above_fd: int, path: bytes, own: Entry | None, seen: Entry | None) -> int:
        """The directory `path`, open: the layer's own, a copy of the one below, or a new one."""
        name = path.rpartition(b"/")[2]
        if seen is not None and seen.kind is not EntryKind.DIRECTORY:
            raise PathRefusedError(display(path), "is not a directory")
        if own is not None and own.kind is EntryKind.DIRECTORY:
            if own.mode & 0o700 != 0o700:
                chmod_beneath(above_fd, name, own.mode | 0o700)
            return open_beneath(above_fd, name, DIRECTORY)
        if own is not None:
            os.unlink(name, dir_fd=above_fd)
        os.mkdir(name, 0o700, dir_fd=above_fd)
        fd = open_beneath(above_fd, name, DIRECTORY)
        if own is not None:
            # It was deleted in this layer: nothing of the directory below may come back.
            for child in self._below.children(path):
                _whiteout(fd, child.path.rpartition(b"/")[2])
        self._dress(fd, 0o700, self._below.xattrs(path) if seen else ())
        return fd

    def _create(
        self, directory_fd: int, name: bytes, content: bytes, mode: int, xattrs: tuple[tuple[bytes, bytes], ...]
    ) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        fd = open_beneath(directory_fd, name, flags, 0o600)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(fd, left) :]
            self._dress(fd, mode, xattrs)
        finally:
            os.close(fd)

    def _dress(self, fd: int, mode: int, xattrs: tuple[tuple[bytes, bytes], ...]) -> None:
        """Owner first: changing it takes setuid bits away."""
        if self._owner is not None:
            os.fchown(fd, *self._owner)
        for name, value in xattrs:
            os.setxattr(fd, name, value)
        os.fchmod(fd, mode)

    def _must_be_file(self, path: bytes, entry: Entry | None) -> None:
        if entry is None:
            raise PathRefusedError(display(path), "does not exist")
        if entry.kind is EntryKind.FILE:
            return
        what = {EntryKind.DIRECTORY: "a directory", EntryKind.SYMLINK: "a symbolic link"}
        raise PathRefusedError(display(path), f"is {what.get(entry.kind, 'a special file')}")


def _visible(entry: Entry | None) -> Entry | None:
    return None if entry is None or entry.kind is EntryKind.WHITEOUT else entry


def _whiteout(directory_fd: int, name: bytes) -> None:
    os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=directory_fd)


def _unlink(directory_fd: int, name: bytes) -> None:
    try:
        os.unlink(name, dir_fd=directory_fd)
    except FileNotFoundError:
        return  # the layer has no file or whiteout of its own there


def _read_all(fd: int, path: bytes, cap_bytes: int) -> bytes:
    with open(fd, "rb", closefd=False) as file:
        content = file.read(cap_bytes + 1)
    if len(content) > cap_bytes:
        raise TreeRefusedError(display(path), f"larger than {cap_bytes} bytes")
    return content
