"""A diffstat as text: one line a file with its counts of lines, or its sizes where it is not text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engine.cli.escape import name_text
from engine.cli.shapes import counted
from engine.cli.table import width_of
from engine.cli.timing import size_text
from sandbox.workspace.changes import Change, ChangeKind
from sandbox.workspace.manifest import EntryKind

if TYPE_CHECKING:
    from engine.checkpoints.render import DiffStat, FileStat

LETTERS: Final = {ChangeKind.ADDED: "A", ChangeKind.DELETED: "D"}
"""Every other kind is `M`."""

BAR_WIDTH: Final = 30
MAX_PATH_WIDTH: Final = 50
"""A longer path, of which a step can make any number, does not move the others' counts out of sight."""
WITHOUT_LINES: Final = {EntryKind.FILE: "empty", EntryKind.SYMLINK: "empty", EntryKind.DIRECTORY: "directory"}
"""What a path without lines is; every other kind is called by its name."""


@dataclass(frozen=True, slots=True)
class StatLine:
    """One file. text: counts or sizes; added, removed: signs of the bar."""

    letter: str
    path: str
    text: str
    added: str = ""
    removed: str = ""


def stat_lines(changes: Sequence[Change], stat: DiffStat) -> list[StatLine]:
    """The lines for the changes that count, with paths padded to one width, where they fit, and bars to one scale."""
    of_path = {file.path: file for file in stat.files}
    shown = counted(changes)
    files = [of_path[change.path] for change in shown]
    largest = max(((file.added or 0) + (file.removed or 0) for file in files), default=0)
    scale = min(1.0, BAR_WIDTH / largest) if largest else 1.0
    paths = [name_text(file.path) for file in files]
    width = min(MAX_PATH_WIDTH, max((width_of(path) for path in paths), default=0))
    padded = [path + " " * max(0, width - width_of(path)) for path in paths]
    return [_line(change, file, path, scale) for change, file, path in zip(shown, files, padded, strict=True)]


def _line(change: Change, file: FileStat, path: str, scale: float) -> StatLine:
    letter = LETTERS.get(file.kind, "M")
    if file.added is None or file.removed is None:
        return StatLine(letter, path, f"{_size(file.old_size)} -> {_size(file.new_size)}")
    if file.added == file.removed == 0:
        return StatLine(letter, path, _without_lines(change, file))
    total = file.added + file.removed
    return StatLine(letter, path, str(total), "+" * _signs(file.added, scale), "-" * _signs(file.removed, scale))


def _signs(count: int, scale: float) -> int:
    return max(1, int(count * scale)) if count else 0


def _without_lines(change: Change, file: FileStat) -> str:
    if file.kind is ChangeKind.MODE_CHANGED and file.old_mode is not None and file.new_mode is not None:
        return f"mode {file.old_mode:04o} -> {file.new_mode:04o}"
    if file.kind is ChangeKind.TYPE_CHANGED:
        return "another kind of thing"
    entry = change.new or change.old
    return WITHOUT_LINES.get(entry.kind, entry.kind.value) if entry is not None else "empty"


def _size(size_bytes: int | None) -> str:
    return "nothing" if size_bytes is None else size_text(size_bytes)


def total_text(stat: DiffStat) -> str:
    """`+14 -2 lines`."""
    return f"+{stat.added} -{stat.removed} lines"
