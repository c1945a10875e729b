"""Manifests: what a layer changed, as pure data, and the algebra on them.

A manifest lists every entry of one layer (or of several merged ones) over whatever lies below:
files with their content's digest, directories, links, and *whiteouts* (deletions). A directory that
is *opaque* hides everything that lies below it. Nothing in here touches a disk but `scan`'s callers;
paths are bytes, relative to the workspace, `/`-separated, never empty, never with `.` or `..` parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class EntryKind(StrEnum):
    """What an entry is. WHITEOUT: the path is deleted here. The last four are never read or applied."""

    FILE = "file"
    DIRECTORY = "dir"
    SYMLINK = "symlink"
    WHITEOUT = "whiteout"
    FIFO = "fifo"
    SOCKET = "socket"
    CHARDEV = "chardev"
    BLOCKDEV = "blockdev"


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a tree or of a layer.

    mode: permission bits (0o7777). size: bytes of a file. mtime_ns: as on disk.
    digest: sha256 (hex) of a file's content. target: a symlink's text. link: for the second and later
    names of one hard-linked file inside this layer, the first name. xattrs: `user.*` only, sorted.
    opaque: a directory that hides what is below it.
    """

    path: bytes
    kind: EntryKind
    mode: int = 0
    size: int = 0
    mtime_ns: int = 0
    digest: str = ""
    target: bytes = b""
    link: bytes | None = None
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    opaque: bool = False


class Manifest:
    """An immutable set of entries, ordered by path so that a directory comes before what is in it."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Entry]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def get(self, path: bytes) -> Entry | None:
        """The entry at exactly `path`."""
        raise NotImplementedError

    def children(self, directory: bytes) -> Iterator[Entry]:
        """The entries directly inside `directory` (b"" is the root)."""
        raise NotImplementedError

    def hides(self, path: bytes) -> bool:
        """True when what lies below this manifest at `path` is not visible through it (an ancestor, or the
        path itself, is a whiteout, an opaque directory above it, or not a directory)."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """The canonical form: same entries, same bytes."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Inverse of `to_bytes`. Raises ValueError on anything else."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """sha256 (hex) of `to_bytes()`."""
        raise NotImplementedError


def merge(bottom_to_top: Iterable[Manifest]) -> Manifest:
    """The one manifest that has the same effect over any base as these, stacked."""
    raise NotImplementedError
