"""Merged trees as data, and what differs between two of them.

A `Tree` answers for any path what a step would see there: `BaseTree` over the user's directory,
`LayeredTree` over a manifest on top of another tree. Nothing is mounted, no link is followed, and only
what is asked for is looked at. `changes` compares two trees that stand over the same base and visits
no more of them than the manifests between them name, but for directories that one of them hides whole.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from sandbox.errors import PathRefusedError, TreeRefusedError
from sandbox.workspace.beneath import DIRECTORY, LOOK, open_beneath, open_directory, open_regular
from sandbox.workspace.display import display
from sandbox.workspace.manifest import Entry, EntryKind, Manifest, order
from sandbox.workspace.tree import digest_of, entry_of, read_xattrs

MAX_CHANGES: Final = 1_000_000
"""More differences than this are refused: they would be a project deleted or replaced as a whole."""


class Tree(Protocol):
    """A merged tree, read-only. Paths as in manifests; no answer is ever a whiteout."""

    def lookup(self, path: bytes) -> Entry | None:
        """What is at `path`; None when nothing is, or when the way there is not all directories.

        An entry that comes from the base has neither digest nor xattrs: they cost opening it, see
        `digest` and `xattrs`. `link` and `opaque` say nothing here.
        Raises TreeRefusedError: something on the way cannot be read or is mounted.
        """
        ...

    def children(self, directory: bytes) -> Iterator[Entry]:
        """What is directly inside `directory` (b"": the root), sorted by name; nothing if it is no directory."""
        ...

    def digest(self, path: bytes) -> str:
        """sha256 (hex) of the regular file `path`. Raises as `open_file`."""
        ...

    def xattrs(self, path: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """The `user.*` attributes of the file or directory `path`, sorted; () for anything else."""
        ...

    def open_file(self, path: bytes) -> int:
        """A read-only descriptor on the regular file `path`; the caller closes it.

        Raises PathRefusedError: there is no regular file.
        """
        ...


class BaseTree:
    """The user's directory as a step without layers sees it: what `hide` (a mask of whiteouts) names is gone.

    Never writes. Holds one descriptor until `close`.
    """

    def __init__(self, directory: Path, hide: Manifest | None = None) -> None:
        """Raises TreeRefusedError: `directory` is not a directory."""
        self._root_fd = open_directory(directory)
        self._hide = hide or Manifest()

    def close(self) -> None:
        """Give the descriptor back. Not idempotent: the tree is not to be used afterwards."""
        os.close(self._root_fd)

    def __enter__(self) -> BaseTree:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def lookup(self, path: bytes) -> Entry | None:
        if self._hide.hides(path):
            return None
        fd = self._open(path, LOOK)
        if fd is None:
            return None
        try:
            return self._entry(path, os.fstat(fd), fd, b"")
        finally:
            os.close(fd)

    def children(self, directory: bytes) -> Iterator[Entry]:
        if self._hide.hides(directory):
            return iter(())
        fd = self._open(directory or b".", DIRECTORY)
        if fd is None:
            return iter(())
        prefix = directory + b"/" if directory else b""
        try:
            found = []
            for name in sorted(os.fsencode(name) for name in os.listdir(fd)):
                if not self._hide.hides(prefix + name):
                    status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    found.append(self._entry(prefix + name, status, fd, name))
        finally:
            os.close(fd)
        return (entry for entry in found if entry is not None)

    def digest(self, path: bytes) -> str:
        fd = self.open_file(path)
        try:
            return digest_of(fd, os.fstat(fd).st_size, path)
        finally:
            os.close(fd)

    def xattrs(self, path: bytes) -> tuple[tuple[bytes, bytes], ...]:
        entry = self.lookup(path)
        if entry is None or entry.kind not in (EntryKind.FILE, EntryKind.DIRECTORY):
            return ()
        fd = self._open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        if fd is None:
            return ()
        try:
            return read_xattrs(fd, path)[0]
        finally:
            os.close(fd)

    def open_file(self, path: bytes) -> int:
        if self._hide.hides(path):
            raise PathRefusedError(display(path), "does not exist")
        return open_regular(self._root_fd, path)

    def _open(self, path: bytes, flags: int) -> int | None:
        try:
            return open_beneath(self._root_fd, path, flags)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
                return None
            mounted = error.errno == errno.EXDEV
            reason = "something is mounted there" if mounted else f"cannot be read: {error.strerror}"
            raise TreeRefusedError(display(path), reason) from error

    def _entry(self, path: bytes, status: os.stat_result, fd: int, name: bytes) -> Entry | None:
        """None for a device 0:0, which overlayfs takes for a whiteout in any layer."""
        entry = entry_of(path, status)
        if entry.kind is EntryKind.WHITEOUT:
            return None
        if entry.kind is EntryKind.SYMLINK:
            return replace(entry, target=os.readlink(name, dir_fd=fd))
        return entry


class LayeredTree:
    """`manifest` over `below`; `opener` gives a read-only descriptor on a regular file of the manifest."""

    def __init__(self, manifest: Manifest, below: Tree, opener: Callable[[bytes], int]) -> None:
        self._manifest = manifest
        self._below = below
        self._opener = opener

    def lookup(self, path: bytes) -> Entry | None:
        entry = self._manifest.get(path)
        if entry is not None:
            return None if entry.kind is EntryKind.WHITEOUT else entry
        return None if self._manifest.hides(path) else self._below.lookup(path)

    def children(self, directory: bytes) -> Iterator[Entry]:
        own = {entry.path: entry for entry in self._manifest.children(directory)}
        if not self._manifest.hides_inside(directory):
            for entry in self._below.children(directory):
                own.setdefault(entry.path, entry)
        return (own[path] for path in sorted(own) if own[path].kind is not EntryKind.WHITEOUT)

    def digest(self, path: bytes) -> str:
        own = self._own_file(path)
        return self._below.digest(path) if own is None else own.digest

    def xattrs(self, path: bytes) -> tuple[tuple[bytes, bytes], ...]:
        entry = self._manifest.get(path)
        if entry is not None:
            return entry.xattrs
        return () if self._manifest.hides(path) else self._below.xattrs(path)

    def open_file(self, path: bytes) -> int:
        return self._below.open_file(path) if self._own_file(path) is None else self._opener(path)

    def _own_file(self, path: bytes) -> Entry | None:
        """The manifest's file at `path`, None when what is below decides. Raises PathRefusedError: no file."""
        entry = self._manifest.get(path)
        if entry is None and not self._manifest.hides(path):
            return None
        if entry is None or entry.kind is EntryKind.WHITEOUT:
            raise PathRefusedError(display(path), "does not exist")
        if entry.kind is not EntryKind.FILE:
            raise PathRefusedError(display(path), "is not a regular file")
        return entry


class ChangeKind(StrEnum):
    """MODIFIED: a file's content or a link's text, whatever its mode. MODE_CHANGED: permission bits alone.
    TYPE_CHANGED: one kind of entry took the place of another; what was in a directory is listed apart."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    TYPE_CHANGED = "type_changed"
    MODE_CHANGED = "mode_changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs. `old` is None when it was added, `new` when it was deleted.

    An entry from the base has a digest only when comparing needed it; `Tree.digest` tells it.
    """

    path: bytes
    kind: ChangeKind
    old: Entry | None
    new: Entry | None


def changes(old: Tree, new: Tree, touched: Iterable[Manifest], limit: int = MAX_CHANGES) -> list[Change]:
    """What differs between two trees over the same base, in the order of manifests.

    `touched` are manifests that name every path at which the trees can differ: those of all layers that
    only one of them has. (For two checkpoints: what each changed above their common ancestor.)
    A file with the same content and mode is no change, whatever its times, attributes and links; a
    directory is one only for appearing, going, or its mode. A rename shows as deleted and added.
    Raises TreeRefusedError: more than `limit` changes, or something that cannot be read.
    """
    found = _Differences(old, new, limit)
    whole: dict[bytes, bool] = {}
    for manifest in touched:
        for entry in manifest:
            covers = entry.opaque or entry.kind is not EntryKind.DIRECTORY
            whole[entry.path] = whole.get(entry.path, False) or covers
    done: bytes | None = None
    for path in sorted(whole, key=order):
        if done is not None and path.startswith(done):
            continue
        if found.compare(path, old.lookup(path), new.lookup(path), whole[path]):
            done = path + b"/"
    return sorted(found.list, key=lambda change: order(change.path))


class _Differences:
    """Collects what differs between two trees."""

    def __init__(self, old: Tree, new: Tree, limit: int) -> None:
        self._old = old
        self._new = new
        self._limit = limit
        self.list: list[Change] = []

    def compare(self, path: bytes, old: Entry | None, new: Entry | None, whole: bool) -> bool:
        """Compare one path; True when all that is below it was compared too.

        That is so where only one side has a directory, and with `whole` where both have.
        """
        waiting = [(path, old, new)]
        descends = _is_directory(old) != _is_directory(new) or (whole and _is_directory(old))
        while waiting:
            path, old, new = waiting.pop()
            self._compare_one(path, old, new)
            if descends:
                before = {e.path: e for e in self._old.children(path)} if _is_directory(old) else {}
                after = {e.path: e for e in self._new.children(path)} if _is_directory(new) else {}
                waiting += [(name, before.get(name), after.get(name)) for name in before.keys() | after.keys()]
        return descends

    def _compare_one(self, path: bytes, old: Entry | None, new: Entry | None) -> None:
        if old is None and new is None:
            return
        if old is None or new is None:
            self._add(Change(path, ChangeKind.ADDED if old is None else ChangeKind.DELETED, old, new))
        elif old.kind is not new.kind:
            self._add(Change(path, ChangeKind.TYPE_CHANGED, old, new))
        elif old.kind is EntryKind.SYMLINK:
            if old.target != new.target:
                self._add(Change(path, ChangeKind.MODIFIED, old, new))
        else:
            self._compare_same_kind(path, old, new)

    def _compare_same_kind(self, path: bytes, old: Entry, new: Entry) -> None:
        # Without a digest on both sides it is the base's own file on both sides: nothing was written.
        if old.kind is EntryKind.FILE and (old.digest or new.digest):
            if old.size == new.size:
                old = replace(old, digest=old.digest or self._old.digest(path))
                new = replace(new, digest=new.digest or self._new.digest(path))
            if old.size != new.size or old.digest != new.digest:
                self._add(Change(path, ChangeKind.MODIFIED, old, new))
                return
        if old.mode != new.mode:
            self._add(Change(path, ChangeKind.MODE_CHANGED, old, new))

    def _add(self, change: Change) -> None:
        if len(self.list) >= self._limit:
            raise TreeRefusedError(display(change.path), f"more than {self._limit} changes")
        self.list.append(change)


def _is_directory(entry: Entry | None) -> bool:
    return entry is not None and entry.kind is EntryKind.DIRECTORY
