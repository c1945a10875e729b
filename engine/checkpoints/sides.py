"""The two sides of a change as git and people see them: leaves with a mode and a content.

Git knows files (executable or not) and links, not directories; one kind in the place of another is the
old going and the new coming. Contents are compared with their recorded digests while they are read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sandbox.errors import LayerCorruptError
from sandbox.workspace.changes import Change, Tree
from sandbox.workspace.display import display
from sandbox.workspace.manifest import Entry, EntryKind

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Side:
    """A file or a link of a tree."""

    tree: Tree
    entry: Entry

    @property
    def git_mode(self) -> int:
        """0o100644, 0o100755 or 0o120000."""
        if self.entry.kind is EntryKind.SYMLINK:
            return 0o120000
        return 0o100755 if self.entry.mode & 0o100 else 0o100644

    @property
    def size(self) -> int:
        """Bytes of content; of a link, of its text."""
        return len(self.entry.target) if self.entry.kind is EntryKind.SYMLINK else self.entry.size

    def chunks(self) -> Iterator[bytes]:
        """The content. Raises LayerCorruptError, at its end: it is not what was recorded."""
        if self.entry.kind is EntryKind.SYMLINK:
            yield self.entry.target
            return
        hasher = hashlib.sha256()
        size = 0
        fd = self.tree.open_file(self.entry.path)
        try:
            while size <= self.entry.size and (chunk := os.read(fd, _CHUNK)):
                hasher.update(chunk)
                size += len(chunk)
                yield chunk
        finally:
            os.close(fd)
        if size != self.entry.size or (self.entry.digest and hasher.hexdigest() != self.entry.digest):
            raise LayerCorruptError(display(self.entry.path), "its content is not what was recorded")

    def read(self) -> bytes:
        """The whole content. Raises as `chunks`."""
        return b"".join(self.chunks())

    def sha256(self) -> str:
        """Of the content, hex."""
        if self.entry.digest:
            return self.entry.digest
        hasher = hashlib.sha256()
        for chunk in self.chunks():
            hasher.update(chunk)
        return hasher.hexdigest()

    def git_id(self) -> bytes:
        """What git calls this content, hex."""
        hasher = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        for chunk in self.chunks():
            hasher.update(chunk)
        return hasher.hexdigest().encode()


@dataclass(frozen=True, slots=True)
class Pair:
    """One leaf before and after; at most one of them None."""

    path: bytes
    old: Side | None
    new: Side | None

    @property
    def same_content(self) -> bool:
        """Whether only the mode differs."""
        if self.old is None or self.new is None or self.old.git_mode == 0o120000:
            return False
        if self.old.size != self.new.size:
            return False
        return self.old.sha256() == self.new.sha256()


def pairs(change: Change, old: Tree, new: Tree) -> list[Pair]:
    """The leaves of a change: none (only directories), one, or two when the kind of leaf changed."""
    before = _side(old, change.old)
    after = _side(new, change.new)
    if before is None and after is None:
        return []
    if before is not None and after is not None and before.entry.kind is not after.entry.kind:
        return [Pair(change.path, before, None), Pair(change.path, None, after)]
    return [Pair(change.path, before, after)]


def _side(tree: Tree, entry: Entry | None) -> Side | None:
    if entry is None or entry.kind not in (EntryKind.FILE, EntryKind.SYMLINK):
        return None
    return Side(tree, entry)
