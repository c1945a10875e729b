"""Which directories a chain of layers is mounted as: merged segments, counted like a number to the base 16.

When sixteen neighbouring segments of one level and one volume are complete they are wanted as one segment of
the next level (level 0 is a layer itself), so that a chain of n layers is at most 15 directories a level. A
segment is named by its level and the topmost layer in it, so that forks share it. Deciding is pure (`push`).

Segments are derived data. `Merger` builds them a piece at a time, from hard links, beside what is mounted
meanwhile: no single step pays for a large one. A segment that is missing or broken is only a longer mount.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.workspace.beneath import DIRECTORY, LOOK, open_beneath, open_directory, open_regular
from sandbox.workspace.copies import copy_content
from sandbox.workspace.layer import LayerName, VolumeId
from sandbox.workspace.manifest import Entry, EntryKind, Manifest, merge, parent
from sandbox.workspace.tree import read_xattrs

WIDTH: Final = 16


@dataclass(frozen=True, slots=True)
class Segment:
    """A layer (level 0, then `place` is its directory) or 16 segments of the level below in one."""

    level: int
    top: LayerName
    volume: VolumeId
    place: str
    parts: tuple[Segment, ...] = ()


Stack = tuple[Segment, ...]
"""Bottom first."""


def segment_place(level: int, top: LayerName) -> str:
    """The name of a merged segment's directory."""
    return f"{level}-{top}"


def push(stack: Stack, name: LayerName, volume: VolumeId, place: str) -> Stack:
    """The stack with one more layer on top."""
    stack = (*stack, Segment(0, name, volume, place))
    while len(stack) >= WIDTH:
        last = stack[-WIDTH:]
        if any(part.level != last[-1].level or part.volume != last[-1].volume for part in last):
            break
        level = last[-1].level + 1
        place = segment_place(level, last[-1].top)
        stack = (*stack[:-WIDTH], Segment(level, last[-1].top, last[-1].volume, place, last))
    return stack


def visible(stack: Sequence[Segment], is_built: Callable[[Segment], bool]) -> list[Segment]:
    """The directories to mount for it, bottom first: parts where a segment is not built yet."""
    found: list[Segment] = []
    for segment in stack:
        if segment.level == 0 or is_built(segment):
            found.append(segment)
        else:
            found += visible(segment.parts, is_built)
    return found


def missing(stack: Sequence[Segment], is_built: Callable[[Segment], bool]) -> Iterator[Segment]:
    """What is to be built for it, the parts of a segment before it."""
    for segment in stack:
        if segment.level and not is_built(segment):
            yield from missing(segment.parts, is_built)
            yield segment


@dataclass(frozen=True, slots=True)
class Source:
    """A directory that goes into a segment."""

    directory: Path
    manifest: Manifest


class Merger:
    """Builds the files of one segment in the directory `target`, which it makes; bottom source first.

    Preconditions: all on one file system; nobody changes the sources meanwhile. As root, what is made belongs
    to whom it belongs in the source.
    """

    def __init__(self, target: Path, sources: Sequence[Source]) -> None:
        self.manifest: Final = merge(source.manifest for source in sources)
        self._target = target
        self._sources = sources[::-1]
        self._fds: list[int] = []
        self._open_directories: dict[tuple[int, bytes], int] = {}

    def work(self) -> Generator[None, None, None]:
        """Do all of it, one entry a turn. Closes what it opened also when it is given up (`close`)."""
        self._target.mkdir(mode=0o755)
        try:
            self._fds = [open_directory(source.directory) for source in self._sources]
            self._fds.append(open_directory(self._target))
            if os.geteuid() == 0:
                status = os.fstat(self._fds[0])
                os.fchown(self._fds[-1], status.st_uid, status.st_gid)
            for entry in self.manifest:
                self._make(entry)
                yield
            for entry in reversed(list(self.manifest)):
                if entry.kind is EntryKind.DIRECTORY:
                    self._settle(entry)
                    yield
        finally:
            self._forget_directories()
            for fd in self._fds:
                os.close(fd)
            self._fds = []

    def opaque(self) -> list[bytes]:
        """The directories that are to be marked opaque."""
        return [entry.path for entry in self.manifest if entry.opaque]

    def _make(self, entry: Entry) -> None:
        self._forget_directories(beyond=2 * WIDTH)
        number = self._topmost(entry)
        name = entry.path.rpartition(b"/")[2]
        into = self._directory(len(self._sources), parent(entry.path))
        if entry.kind is EntryKind.DIRECTORY:
            os.mkdir(name, 0o700, dir_fd=into)
            return
        of = self._directory(number, parent(entry.path))
        try:
            os.link(name, name, src_dir_fd=of, dst_dir_fd=into, follow_symlinks=False)
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            self._copy(entry, of, into, name)

    def _copy(self, entry: Entry, of: int, into: int, name: bytes) -> None:
        """What has as many names as a file can have."""
        status = os.stat(name, dir_fd=of, follow_symlinks=False)
        if entry.kind is EntryKind.SYMLINK:
            os.symlink(entry.target, name, dir_fd=into)
        elif entry.kind is not EntryKind.FILE:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=into)
        else:
            source = open_regular(of, name)
            target = open_beneath(into, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                copy_content(source, target)
                for attribute, value in entry.xattrs:
                    os.setxattr(target, attribute, value)
            finally:
                os.close(source)
                os.close(target)
        self._dress(into, name, status)

    def _settle(self, entry: Entry) -> None:
        """A directory's own attributes, when nothing is added to it any more."""
        self._forget_directories(beyond=2 * WIDTH)
        source = self._directory(self._topmost(entry), entry.path)
        made = self._directory(len(self._sources), entry.path)
        for attribute, value in read_xattrs(source, entry.path)[0]:
            os.setxattr(made, attribute, value)
        above = self._directory(len(self._sources), parent(entry.path))
        self._dress(above, entry.path.rpartition(b"/")[2], os.fstat(source))

    def _dress(self, directory_fd: int, name: bytes, status: os.stat_result) -> None:
        """Owner first, which takes setuid bits away; times last."""
        if os.geteuid() == 0:
            os.chown(name, status.st_uid, status.st_gid, dir_fd=directory_fd, follow_symlinks=False)
        fd = open_beneath(directory_fd, name, LOOK)
        try:
            if (status.st_mode & 0o170000) != 0o120000:
                os.chmod(f"/proc/self/fd/{fd}", status.st_mode & 0o7777)
        finally:
            os.close(fd)
        os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=directory_fd, follow_symlinks=False)

    def _directory(self, number: int, path: bytes) -> int:
        """The directory `path` of a source (or of the target, the last number), open until it is forgotten."""
        if not path:
            return self._fds[number]
        fd = self._open_directories.get((number, path))
        if fd is None:
            fd = open_beneath(self._fds[number], path, DIRECTORY)
            self._open_directories[number, path] = fd
        return fd

    def _topmost(self, entry: Entry) -> int:
        """The number of the source that the entry is taken from."""
        return next(n for n, source in enumerate(self._sources) if source.manifest.get(entry.path) is not None)

    def _forget_directories(self, beyond: int = 0) -> None:
        """Close them all when they are more than `beyond`."""
        if len(self._open_directories) > beyond:
            for fd in self._open_directories.values():
                os.close(fd)
            self._open_directories.clear()
