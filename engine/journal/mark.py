"""The mark: a small file beside the journal that says that it exists and how far it has come.

Without it, an emptied, exchanged or rolled-back journal would look like a good one, and layers whose rows are
gone would be taken for rubbish. It holds the journal's id and a lower bound of its committed transactions.
Written after each commit but not synced each time: after a power cut it may lag, never lead. Two slots, written
in turn, so that a torn write leaves the other.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SLOT: Final = 96
_WORD: Final = "sandstone-journal"


@dataclass(frozen=True, slots=True)
class Marked:
    """What a mark says. commits: at least so many transactions are in the journal of this id."""

    journal_id: str
    commits: int


class MarkDamagedError(Exception):
    """The mark at `path` cannot be read."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} says nothing that can be understood")
        self.path = path


def read_mark(path: Path) -> Marked | None:
    """What the mark says; None when there is none. Raises MarkDamagedError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    found = [marked for marked in (_parse(content[:_SLOT]), _parse(content[_SLOT:])) if marked is not None]
    if not found or len(content) != 2 * _SLOT or len({marked.journal_id for marked in found}) > 1:
        raise MarkDamagedError(path)
    return max(found, key=lambda marked: marked.commits)


class Mark:
    """The mark, open for writing. Several processes may write it: it stays a lower bound whoever is last."""

    def __init__(self, path: Path, marked: Marked) -> None:
        """Open, or make it with `marked`, on the disk when this returns."""
        self._journal_id = marked.journal_id
        if not path.exists():
            _create(path, _line(marked) * 2)
        self._fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)

    def advance(self, commits: int) -> None:
        """So many are on the disk. Writes over what is there: needs no room."""
        slot = commits % 2 * _SLOT
        os.pwrite(self._fd, _line(Marked(self._journal_id, commits)), slot)

    def sync(self) -> None:
        """Have what it says on the disk."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _create(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part-{os.getpid()}")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    part.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _line(marked: Marked) -> bytes:
    text = f"{_WORD} {marked.journal_id} {marked.commits}".encode("ascii")
    return (b"%b %08x" % (text, zlib.crc32(text))).ljust(_SLOT - 1) + b"\n"


def _parse(slot: bytes) -> Marked | None:
    words = slot.split()
    if len(words) != 4:
        return None
    try:
        word, journal_id, commits = (part.decode("ascii") for part in words[:3])
        marked = Marked(journal_id, int(commits))
    except ValueError:
        return None
    return marked if word == _WORD and _line(marked) == slot else None
