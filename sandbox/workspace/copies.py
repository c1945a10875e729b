"""Copying trees whole, and telling what changed between two scans of a copy.

A copy keeps content (holes included), modes, times to the nanosecond, `user.*` attributes, links and
hard links. Device nodes are left out: an ordinary user cannot make them and no step may have them.
Source trees may be hostile: they are read by the rules of `tree`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Final

from sandbox.workspace.beneath import DIRECTORY, open_beneath
from sandbox.workspace.manifest import Entry, EntryKind, Manifest, ancestors, parent, relink
from sandbox.workspace.tree import (
    DEFAULT_LIMITS,
    Found,
    TreeLimits,
    chmod_beneath,
    read_xattrs,
    readable,
    rmtree,
    walk,
)

_CHUNK: Final = 1 << 20


def copy_tree(
    source_fd: int,
    target_fd: int,
    owner: int | None = None,
    wanted: Callable[[bytes], bool] = lambda path: True,
    limits: TreeLimits = DEFAULT_LIMITS,
) -> None:
    """Copy what is in the directory `source_fd`, as far as `wanted`, into `target_fd`; the roots' attributes too.

    Directories that are there already are kept and get the source's attributes; anything else that is
    there is an error. owner: uid and gid of all copies; None: the caller's.
    Raises TreeRefusedError: the source breaks a bound or cannot be read.
    """
    copier = _Copier(target_fd, owner)
    with closing(walk(source_fd, limits)) as walking:
        for found in walking:
            if wanted(found.path):
                copier.copy(found)
    copier.finish(source_fd)


class _Copier:
    """Makes the copies of one tree; directories get their attributes last, when nothing is added any more."""

    def __init__(self, target_fd: int, owner: int | None) -> None:
        self._target_fd = target_fd
        self._owner = owner
        self._first_names: dict[int, bytes] = {}
        self._directories: list[tuple[bytes, os.stat_result]] = []

    def copy(self, found: Found) -> None:
        directory_fd = open_beneath(self._target_fd, parent(found.path) or b".", DIRECTORY)
        try:
            self._copy_into(directory_fd, found)
        finally:
            os.close(directory_fd)

    def _copy_into(self, directory_fd: int, found: Found) -> None:
        name, mode = found.name, found.stat.st_mode
        if stat.S_ISDIR(mode):
            self._copy_directory(directory_fd, found)
        elif stat.S_ISREG(mode):
            first = self._first_names.get(found.stat.st_ino)
            if first is not None:
                os.link(first, name, src_dir_fd=self._target_fd, dst_dir_fd=directory_fd, follow_symlinks=False)
                return
            self._copy_file(directory_fd, found)
            if found.stat.st_nlink > 1:
                self._first_names[found.stat.st_ino] = found.path
        elif stat.S_ISLNK(mode):
            os.symlink(os.readlink(name, dir_fd=found.directory_fd), name, dir_fd=directory_fd)
            self._settle(directory_fd, name, found.stat)
        elif stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            os.mknod(name, stat.S_IFMT(mode) | 0o600, dir_fd=directory_fd)
            self._settle(directory_fd, name, found.stat)

    def _copy_directory(self, directory_fd: int, found: Found) -> None:
        try:
            os.mkdir(found.name, 0o700, dir_fd=directory_fd)
        except FileExistsError:
            chmod_beneath(directory_fd, found.name, 0o700)
        self._directories.append((found.path, found.stat))
        with readable(found) as source:
            target = open_beneath(directory_fd, found.name, DIRECTORY)
            try:
                _copy_xattrs(source, target, found.path)
            finally:
                os.close(target)

    def _copy_file(self, directory_fd: int, found: Found) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with readable(found) as source:
            target = open_beneath(directory_fd, found.name, flags, 0o600)
            try:
                copy_content(source, target)
                _copy_xattrs(source, target, found.path)
            finally:
                os.close(target)
        self._settle(directory_fd, found.name, found.stat)

    def _settle(self, directory_fd: int, name: bytes, status: os.stat_result) -> None:
        """Owner first, which takes setuid bits away; times last."""
        if self._owner is not None:
            os.chown(name, self._owner, self._owner, dir_fd=directory_fd, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            chmod_beneath(directory_fd, name, stat.S_IMODE(status.st_mode))
        os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=directory_fd, follow_symlinks=False)

    def finish(self, source_fd: int) -> None:
        """Set the attributes of all directories, the innermost first, and those of the root."""
        for path, status in reversed(self._directories):
            directory_fd = open_beneath(self._target_fd, parent(path) or b".", DIRECTORY)
            try:
                self._settle(directory_fd, path.rpartition(b"/")[2], status)
            finally:
                os.close(directory_fd)
        root = os.fstat(source_fd)
        if self._owner is not None:
            os.fchown(self._target_fd, self._owner, self._owner)
        os.fchmod(self._target_fd, stat.S_IMODE(root.st_mode))
        os.utime(self._target_fd, ns=(root.st_atime_ns, root.st_mtime_ns))


def _copy_xattrs(source: int, target: int, path: bytes) -> None:
    for name, value in read_xattrs(source, path)[0]:
        os.setxattr(target, name, value)


def copy_content(source: int, target: int) -> None:
    """Copy all of one open file into another, empty one; holes stay holes."""
    size = os.fstat(source).st_size
    position = 0
    while position < size:
        try:
            start = os.lseek(source, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # ENXIO: a hole up to the end
                raise
            break
        position = os.lseek(source, start, os.SEEK_HOLE)
        _copy_range(source, target, start, position)
    os.ftruncate(target, size)


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        chunk = os.pread(source, min(_CHUNK, end - start), start)
        if not chunk:
            return  # it was cut short meanwhile: the digest will tell
        start += os.pwrite(target, chunk, start)


def lay_over(target_fd: int, manifest: Manifest, source_fd: int, owner: int | None, limits: TreeLimits) -> None:
    """Change the plain tree `target_fd` as `manifest` says, taking what it names from the tree `source_fd`.

    Preconditions: `source_fd` is a plain tree that has every entry of the manifest but whiteouts.
    """
    for entry in manifest:
        if entry.kind is EntryKind.DIRECTORY and not entry.opaque and _is_directory(target_fd, entry.path):
            continue
        if _is_directory(target_fd, parent(entry.path)):
            directory_fd = open_beneath(target_fd, parent(entry.path) or b".", DIRECTORY)
            try:
                rmtree(directory_fd, entry.path.rpartition(b"/")[2])
            finally:
                os.close(directory_fd)
    copy_tree(source_fd, target_fd, owner, lambda path: _has(manifest, path), limits)


def _has(manifest: Manifest, path: bytes) -> bool:
    entry = manifest.get(path)
    return entry is not None and entry.kind is not EntryKind.WHITEOUT


def _is_directory(root_fd: int, path: bytes) -> bool:
    try:
        os.close(open_beneath(root_fd, path or b".", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise
    return True


def difference(before: Manifest, after: Manifest) -> Manifest:
    """What changed from one scan of a plain tree to the next, as the manifest of a layer.

    Has every ancestor of every entry. Names of one file stay linked as far as they are in it.
    """
    changed: dict[bytes, Entry] = {}
    for entry in after:
        old = before.get(entry.path)
        if old is None or replace(old, link=None) != replace(entry, link=None):
            changed[entry.path] = entry
    for entry in before:
        if after.get(entry.path) is None and _is_directory_in(after, parent(entry.path)):
            changed[entry.path] = Entry(entry.path, EntryKind.WHITEOUT)
    for path in list(changed):
        for above in ancestors(path):
            directory = after.get(above)
            if directory is not None:
                changed.setdefault(above, directory)
    groups: dict[bytes, list[Entry]] = {}
    for entry in changed.values():
        groups.setdefault(entry.link or entry.path, []).append(entry)
    return Manifest(relink(groups.values()))


def _is_directory_in(manifest: Manifest, path: bytes) -> bool:
    entry = manifest.get(path)
    return not path or (entry is not None and entry.kind is EntryKind.DIRECTORY)
