"""What a tree on disk holds, and whether it is what its manifest says. Reads attributes, never content."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sandbox.errors import TreeRefusedError
from sandbox.workspace.beneath import LOOK, open_beneath
from sandbox.workspace.display import display
from sandbox.workspace.layer import Usage
from sandbox.workspace.manifest import Entry, EntryKind, Manifest
from sandbox.workspace.tree import TreeLimits, entry_of, walk


def usage_of(root_fd: int, limits: TreeLimits) -> Usage:
    """Bytes allocated and inodes of a tree, each inode once, its root included."""
    root = os.fstat(root_fd)
    seen = {root.st_ino: root.st_blocks * 512}
    with closing(walk(root_fd, limits)) as walking:
        for found in walking:
            seen[found.stat.st_ino] = found.stat.st_blocks * 512
    return Usage(sum(seen.values()), len(seen))


def usage_of_entries(root_fd: int, manifest: Manifest) -> Usage:
    """The same of those entries of a plain tree that the manifest names."""
    seen: dict[int, int] = {}
    for entry in manifest:
        with _looked_at(root_fd, entry.path) as status:
            if status is not None:
                seen[status.st_ino] = status.st_blocks * 512
    return Usage(sum(seen.values()), len(seen))


def check_bounds(manifest: Manifest, limits: TreeLimits) -> None:
    """Raises TreeRefusedError where what a manifest lists breaks a bound that `tree.scan` would refuse."""
    total = 0
    for count, entry in enumerate(manifest, 1):
        total += entry.size
        if count > limits.entries:
            raise TreeRefusedError(display(entry.path), f"more than {limits.entries} entries")
        if entry.path.count(b"/") >= limits.depth:
            raise TreeRefusedError(display(entry.path), f"deeper than {limits.depth} levels")
        if entry.size > limits.file_bytes:
            raise TreeRefusedError(display(entry.path), f"larger than {limits.file_bytes} bytes ({entry.size})")
        if total > limits.total_bytes:
            raise TreeRefusedError(display(entry.path), f"more than {limits.total_bytes} logical bytes")


def first_fault(root_fd: int, manifest: Manifest, whole_copy: bool = False) -> str:
    """How an upper directory first differs from its manifest, by kind, mode, size and time; "" if it does not.

    whole_copy: the tree is not an upper directory but a copy of what is merged: what the manifest
    deletes is simply not there.
    """
    for entry in manifest:
        with _looked_at(root_fd, entry.path) as status:
            found = None if status is None else entry_of(entry.path, status)
        absent = whole_copy and entry.kind is EntryKind.WHITEOUT
        fault = ("" if found is None else "is there again") if absent else _fault(entry, found)
        if fault:
            return f"{display(entry.path)} {fault}"
    return ""


def _fault(expected: Entry, found: Entry | None) -> str:
    if found is None:
        return "is missing"
    for attribute in ("kind", "mode", "size", "mtime_ns"):
        if getattr(expected, attribute) != getattr(found, attribute):
            return f"has another {attribute}"
    return ""


@contextmanager
def _looked_at(root_fd: int, path: bytes) -> Iterator[os.stat_result | None]:
    try:
        fd = open_beneath(root_fd, path, LOOK)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise TreeRefusedError(display(path), f"cannot be read: {error.strerror}") from error
        yield None
        return
    try:
        yield os.fstat(fd)
    finally:
        os.close(fd)
