"""Differences for people: a unified diff as lines that are safe to print, and counts for each file.

Rules: bounded whatever the layers hold (lines and bytes of a file, lines in all, characters of a line),
and every cut says what it cut; no control character, invisible character or change of reading direction
gets through, tabs excepted; binary files are told by size and sha256, links by their text, never followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from engine.checkpoints.lines import differences, split_lines
from engine.checkpoints.patch import hunk_lines, text_contents
from engine.checkpoints.sides import Pair, Side, pairs
from sandbox.workspace.changes import Change, ChangeKind, Tree
from sandbox.workspace.display import display
from sandbox.workspace.manifest import Entry, EntryKind


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """file_bytes: a larger text is told by size and sha256. file_lines, total_lines: of the diff.
    line_characters: of one line as shown."""

    file_bytes: int = 1 << 20
    file_lines: int = 2_000
    total_lines: int = 20_000
    line_characters: int = 2_000


DEFAULT_LIMITS: Final = RenderLimits()
_WORDS: Final = {
    EntryKind.FILE: "file",
    EntryKind.DIRECTORY: "directory",
    EntryKind.SYMLINK: "symbolic link",
}


@dataclass(frozen=True, slots=True)
class FileStat:
    """One change in numbers. added, removed: lines; None for what is not text or too large to compare.

    sizes: bytes of content, modes: permission bits; None where there is nothing, or no content.
    """

    path: bytes
    kind: ChangeKind
    added: int | None
    removed: int | None
    old_size: int | None
    new_size: int | None
    old_mode: int | None
    new_mode: int | None


@dataclass(frozen=True, slots=True)
class DiffStat:
    """Every change in numbers, in their order, and the lines in all."""

    files: tuple[FileStat, ...]

    @property
    def added(self) -> int:
        """Lines added in all files that are compared by lines."""
        return sum(file.added or 0 for file in self.files)

    @property
    def removed(self) -> int:
        """Lines removed, likewise."""
        return sum(file.removed or 0 for file in self.files)


def summarize(found: Sequence[Change], old: Tree, new: Tree, limits: RenderLimits = DEFAULT_LIMITS) -> DiffStat:
    """Count what changed. Raises LayerCorruptError: a content is not what was recorded."""
    return DiffStat(tuple(_stat(change, old, new, limits) for change in found))


def _stat(change: Change, old: Tree, new: Tree, limits: RenderLimits) -> FileStat:
    added: int | None = 0
    removed: int | None = 0
    for pair in pairs(change, old, new):
        counts = _counts(pair, limits)
        added = None if counts is None or added is None else added + counts[0]
        removed = None if counts is None or removed is None else removed + counts[1]
    return FileStat(
        change.path, change.kind, added, removed,
        _size(change.old), _size(change.new), _mode(change.old), _mode(change.new),
    )  # fmt: skip


def _counts(pair: Pair, limits: RenderLimits) -> tuple[int, int] | None:
    if pair.same_content:
        return 0, 0
    contents = text_contents(pair, limits.file_bytes)
    if contents is None:
        return None
    regions = differences(split_lines(contents[0]), split_lines(contents[1]))
    added = sum(region.new_end - region.new_start for region in regions)
    return added, sum(region.old_end - region.old_start for region in regions)


def _size(entry: Entry | None) -> int | None:
    return entry.size if entry is not None and entry.kind is EntryKind.FILE else None


def _mode(entry: Entry | None) -> int | None:
    return None if entry is None or entry.kind is EntryKind.SYMLINK else entry.mode


def render(found: Sequence[Change], old: Tree, new: Tree, limits: RenderLimits = DEFAULT_LIMITS) -> Iterator[str]:
    """The lines of the diff, without newlines, each safe to print as it is.

    Raises LayerCorruptError: a content is not what was recorded.
    """
    left = limits.total_lines
    for number, change in enumerate(found):
        lines = _change_lines(change, old, new, limits)
        for line in lines:
            if left <= 0:
                yield f"... {len(found) - number} of {len(found)} changes are not, or not wholly, shown"
                return
            yield line
            left -= 1


def _change_lines(change: Change, old: Tree, new: Tree, limits: RenderLimits) -> Iterator[str]:
    name = display(change.path)
    yield f"diff --git a/{name} b/{name}"
    yield from _heading(change)
    for pair in pairs(change, old, new):
        if not pair.same_content:
            yield from _pair_lines(pair, name, limits)


def _heading(change: Change) -> Iterator[str]:
    before, after = change.old, change.new
    if before is None and after is not None:
        yield f"new {_told(after)}"
    elif after is None and before is not None:
        yield f"deleted {_told(before)}"
    elif before is not None and after is not None:
        if before.kind is not after.kind:
            yield f"was a {_told(before)}"
            yield f"is a {_told(after)}"
        elif before.kind is not EntryKind.SYMLINK and before.mode != after.mode:
            yield f"old mode {_shown_mode(before)}"
            yield f"new mode {_shown_mode(after)}"


def _told(entry: Entry) -> str:
    word = _WORDS.get(entry.kind, f"{entry.kind.value} (never applied)")
    return word if entry.kind is EntryKind.SYMLINK else f"{word} mode {_shown_mode(entry)}"


def _pair_lines(pair: Pair, name: str, limits: RenderLimits) -> Iterator[str]:
    contents = text_contents(pair, limits.file_bytes)
    if contents is None:
        yield f"Contents differ: {_content_of(pair.old)} -> {_content_of(pair.new)}"
        return
    before, after = split_lines(contents[0]), split_lines(contents[1])
    regions = differences(before, after)
    if not regions:
        return
    yield f"--- {'/dev/null' if pair.old is None else 'a/' + name}"
    yield f"+++ {'/dev/null' if pair.new is None else 'b/' + name}"
    left = limits.file_lines
    for line in hunk_lines(before, after, regions):
        if left <= 0:
            changed = sum((r.old_end - r.old_start) + (r.new_end - r.new_start) for r in regions)
            yield f"... cut after {limits.file_lines} lines of the diff; {changed} lines changed in all"
            return
        # A line without a newline carries the mark for that in the same piece.
        for shown in line.removesuffix(b"\n").split(b"\n"):
            yield visible(shown, limits.line_characters)
            left -= 1


def _content_of(side: Side | None) -> str:
    return "nothing" if side is None else f"{side.size} bytes sha256 {side.sha256()}"


def visible(line: bytes, limit: int = DEFAULT_LIMITS.line_characters) -> str:
    """One line of a file's content, safe to print. Unlike in `display` tabs and backslashes stay what they
    are: they are most of what code is indented and quoted with."""
    cut = line[: 4 * limit]
    text = cut.decode("utf-8", "surrogateescape")
    shown = display(cut)
    if "\\" in shown or "\t" in text:
        shown = "".join(_visible(character) for character in text) if text else ""
    elif not text:
        shown = ""
    if len(shown) > limit or len(cut) < len(line):
        return f"{shown[:limit]}... ({len(line)} bytes)"
    return shown


def _visible(character: str) -> str:
    return character if character in "\t\\" else display(character.encode("utf-8", "surrogateescape"))


def _shown_mode(entry: Entry) -> str:
    """As git writes it, so that what is shown of files can be given to `git apply`."""
    return f"{'10' if entry.kind is EntryKind.FILE else ''}{entry.mode:04o}"
