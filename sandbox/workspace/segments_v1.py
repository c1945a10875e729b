"""How a long chain of layers is mounted: as few merged segments.

A chain is kept like a number in base 16. Each committed layer is a segment of level 0; when 16 segments of one
level are complete they are merged into one of the next level. A chain of n layers is thus a stack of at most
15 segments a level, and each entry is linked again once a level. The stack of a layer is a pure function of
its chain, so forks share segments. Segments are derived data: whatever is missing is built again, and where a
segment cannot be built (its volume is full) its parts are used instead.

A segment's directory has the form of a layer's: `upper` and `manifest`; the manifest is written last.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.workspace.beneath import DIRECTORY, open_beneath, opened
from sandbox.workspace.layer import LayerName
from sandbox.workspace.manifest import Entry, EntryKind, Manifest, merge, parent
from sandbox.workspace.mounting import Mounter
from sandbox.workspace.tree import rmtree

FAN_OUT: Final = 16


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of 16**level layers of one chain; `top` is the uppermost."""

    level: int
    top: LayerName


Stack = tuple[Segment, ...]
"""Bottom first."""


def grown(below: Stack, name: LayerName) -> Stack:
    """The stack of a layer that stands on a chain with stack `below`. Pure."""
    stack = [*below, Segment(0, name)]
    while len(stack) >= FAN_OUT and stack[-1].level == stack[-FAN_OUT].level:
        merged = Segment(stack[-1].level + 1, stack[-1].top)
        del stack[-FAN_OUT:]
        stack.append(merged)
    return tuple(stack)


@dataclass(frozen=True, slots=True)
class Part:
    """A segment on disk."""

    upper: Path
    manifest: Manifest


def build(directory: Path, parts: Sequence[Part], owner: tuple[int, int] | None, mounter: Mounter) -> Manifest:
    """Make the segment `directory` out of `parts`, bottom first; atomic: it is there whole or not at all.

    Files are hard links where that can be, else copies. Raises OSError (ENOSPC among others); nothing is left.
    """
    manifest = merge(part.manifest for part in parts)
    making = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}.making")
    making.mkdir(mode=0o755)
    try:
        upper = making / "upper"
        upper.mkdir()
        shutil.copystat(parts[-1].upper, upper)
        if owner is not None:
            os.chown(upper, *owner)
        _fill(upper, manifest, parts, owner)
        opaque = [entry.path for entry in manifest if entry.opaque]
        if opaque:
            mounter.set_opaque(upper, opaque)
        _date(upper, manifest)
        (making / "manifest").write_bytes(manifest.to_bytes())
        making.rename(directory)
    except BaseException:
        with opened(making.parent) as above:
            rmtree(above, os.fsencode(making.name))
        raise
    return manifest


def _fill(upper: Path, manifest: Manifest, parts: Sequence[Part], owner: tuple[int, int] | None) -> None:
    top_first = parts[::-1]
    sources = [os.open(part.upper, DIRECTORY | os.O_CLOEXEC) for part in top_first]
    try:
        with opened(upper) as root:
            for entry in manifest:
                index = next(i for i, part in enumerate(top_first) if part.manifest.get(entry.path) is not None)
                _place(root, sources[index], entry, owner)
    finally:
        for fd in sources:
            os.close(fd)


def _place(root: int, source: int, entry: Entry, owner: tuple[int, int] | None) -> None:
    name = entry.path.rpartition(b"/")[2]
    into = open_beneath(root, parent(entry.path) or b".", DIRECTORY)
    try:
        if entry.kind is EntryKind.WHITEOUT:
            os.mknod(name, 0o020000, os.makedev(0, 0), dir_fd=into)
            return
        origin = open_beneath(source, parent(entry.path) or b".", DIRECTORY)
        try:
            if entry.kind is EntryKind.DIRECTORY:
                _make_directory(into, origin, name, entry, owner)
            else:
                _link(origin, into, name, owner)
        finally:
            os.close(origin)
    finally:
        os.close(into)


def _make_directory(into: int, origin: int, name: bytes, entry: Entry, owner: tuple[int, int] | None) -> None:
    os.mkdir(name, 0o700, dir_fd=into)
    fd = open_beneath(into, name, DIRECTORY)
    try:
        if owner is not None:
            status = os.stat(name, dir_fd=origin, follow_symlinks=False)
            os.fchown(fd, status.st_uid, status.st_gid)
        for attribute, value in entry.xattrs:
            os.setxattr(fd, attribute, value)
        # As an ordinary user the directory must stay open to us until it is filled; `_date` closes it.
        os.fchmod(fd, entry.mode | 0o700)
    finally:
        os.close(fd)


def _link(origin: int, into: int, name: bytes, owner: tuple[int, int] | None) -> None:
    try:
        os.link(name, name, src_dir_fd=origin, dst_dir_fd=into, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EMLINK, errno.EXDEV, errno.EPERM):
            raise
        _copy(origin, into, name, owner)


def _copy(origin: int, into: int, name: bytes, owner: tuple[int, int] | None) -> None:
    status = os.stat(name, dir_fd=origin, follow_symlinks=False)
    if (status.st_mode & 0o170000) == 0o120000:
        os.symlink(os.readlink(name, dir_fd=origin), name, dir_fd=into)
    elif (status.st_mode & 0o170000) == 0o100000:
        read = open_beneath(origin, name, os.O_RDONLY | os.O_NOFOLLOW)
        write = open_beneath(into, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            while os.copy_file_range(read, write, 1 << 24):
                pass
            for attribute in os.listxattr(read):
                if attribute.startswith("user."):
                    os.setxattr(write, attribute, os.getxattr(read, attribute))
            if owner is not None:
                os.fchown(write, status.st_uid, status.st_gid)
            os.fchmod(write, status.st_mode & 0o7777)
        finally:
            os.close(read)
            os.close(write)
    else:
        os.mknod(name, status.st_mode, 0, dir_fd=into)
    if owner is not None:
        os.chown(name, status.st_uid, status.st_gid, dir_fd=into, follow_symlinks=False)
    os.utime(name, ns=(status.st_mtime_ns, status.st_mtime_ns), dir_fd=into, follow_symlinks=False)


def _date(upper: Path, manifest: Manifest) -> None:
    """Give directories their mode and time, the innermost first: filling them changed both."""
    directories = [entry for entry in manifest if entry.kind is EntryKind.DIRECTORY]
    with opened(upper) as root:
        for entry in reversed(directories):
            fd = open_beneath(root, entry.path, DIRECTORY)
            try:
                os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
                os.fchmod(fd, entry.mode)
            finally:
                os.close(fd)
