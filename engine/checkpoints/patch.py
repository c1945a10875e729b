"""Writes the patch that `git apply` takes on a clean copy of the project: text, binary files, modes, links.

The bytes are git's own format, with full object ids, `a/` and `b/` and names quoted as git quotes them.
What a patch cannot say is not in it and is reported: empty directories, modes other than executable or
not, special files, and names that git refuses (its own metadata), which would spoil the whole patch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeGuard

from engine.checkpoints.git_binary import MAX_DELTA_BYTES, delta, literal
from engine.checkpoints.lines import Region, differences, grouped, split_lines
from engine.checkpoints.protected import judge_metadata
from engine.checkpoints.sides import Pair, Side, pairs
from sandbox.workspace.changes import Change, ChangeKind, Tree
from sandbox.workspace.manifest import Entry, EntryKind, ancestors

MAX_TEXT_BYTES: Final = 4 << 20
"""A larger file goes as a binary patch."""

_NO_ID: Final = b"0" * 40
_RECORDED: Final = frozenset({0o644, 0o755, 0o664, 0o775})
"""Permissions that a file has after `git apply`, by the usual masks."""
_NO_NEWLINE: Final = b"\n\\ No newline at end of file\n"
_AMBIGUOUS: Final = re.compile(rb" /|/ | b/")
"""Names that git itself cannot tell apart in a `diff --git` line of a binary file unless they are quoted."""

_SHORT: Final = {
    7: b"\\a",
    8: b"\\b",
    9: b"\\t",
    10: b"\\n",
    11: b"\\v",
    12: b"\\f",
    13: b"\\r",
    34: b'\\"',
    92: b"\\\\",
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A change that an export cannot hold, and why."""

    path: bytes
    reason: str


def write_patch(found: Sequence[Change], old: Tree, new: Tree, out: BinaryIO) -> list[LeftOut]:
    """Write the whole patch to `out`; returns what is not in it.

    Raises LayerCorruptError: a content is not what was recorded. OSError: `out` cannot be written.
    """
    left_out = []
    leaves = {entry.path for change in found for entry in (change.old, change.new) if _is_leaf(entry)}
    occupied = {above for path in leaves for above in ancestors(path)}
    for change in found:
        reason = _why_not(change, occupied)
        if reason:
            left_out.append(LeftOut(change.path, reason))
            continue
        if change.kind is ChangeKind.MODE_CHANGED and _is_same_to_git(change, old, new):
            left_out.append(LeftOut(change.path, "git records only whether a file can be executed"))
            continue
        if change.kind is not ChangeKind.MODE_CHANGED and (lost := _mode_lost(change)):
            left_out.append(LeftOut(change.path, lost))
        for pair in pairs(change, old, new):
            for line in patch_lines(pair):
                out.write(line)
    return left_out


def _mode_lost(change: Change) -> str:
    """What git does not record of the permissions of a new file, or of one that got others; "" for usual ones."""
    old, new = change.old, change.new
    if new is None or new.kind is not EntryKind.FILE or new.mode in _RECORDED:
        return ""
    if old is not None and old.mode == new.mode:
        return ""
    return f"its mode {new.mode:04o}: git records only whether a file can be executed"


def _is_leaf(entry: Entry | None) -> TypeGuard[Entry]:
    return entry is not None and entry.kind in (EntryKind.FILE, EntryKind.SYMLINK)


def _why_not(change: Change, occupied: set[bytes]) -> str:
    if judge_metadata(change.path) is not None:
        return "git does not apply what is called like its own metadata"
    entry = change.new if change.new is not None else change.old
    if entry is None or _is_leaf(entry):
        return ""
    if entry.kind is not EntryKind.DIRECTORY:
        return f"is a {entry.kind.value}"
    if change.kind is ChangeKind.MODE_CHANGED:
        return "git does not record modes of directories"
    # Where it took the place of a file, that goes all the same; only the directory itself cannot be said.
    if change.path in occupied or change.kind is ChangeKind.TYPE_CHANGED:
        return ""
    return "git does not record empty directories"


def _is_same_to_git(change: Change, old: Tree, new: Tree) -> bool:
    return all(
        pair.old is not None and pair.new is not None and pair.old.git_mode == pair.new.git_mode
        for pair in pairs(change, old, new)
    )


def patch_lines(pair: Pair) -> Iterator[bytes]:
    """The patch of one leaf."""
    must = _AMBIGUOUS.search(b"/" + pair.path + b"/") is not None
    yield b"diff --git %s %s\n" % (quoted(b"a/" + pair.path, must=must), quoted(b"b/" + pair.path, must=must))
    yield from _mode_lines(pair)
    if pair.same_content:
        return
    old_id = _NO_ID if pair.old is None else pair.old.git_id()
    new_id = _NO_ID if pair.new is None else pair.new.git_id()
    yield b"index %s..%s%s\n" % (old_id, new_id, _index_mode(pair))
    contents = text_contents(pair, MAX_TEXT_BYTES)
    if contents is None:
        yield from _binary_lines(pair)
        return
    before, after = split_lines(contents[0]), split_lines(contents[1])
    if before or after:
        yield b"--- %s\n" % _file_name(b"a/" + pair.path, pair.old)
        yield b"+++ %s\n" % _file_name(b"b/" + pair.path, pair.new)
        yield from hunk_lines(before, after, differences(before, after))


def text_contents(pair: Pair, limit_bytes: int) -> tuple[bytes, bytes] | None:
    """Both contents (empty for none), when they are text and each has at most `limit_bytes`; else None."""
    sides = [side for side in (pair.old, pair.new) if side is not None]
    if any(side.size > limit_bytes for side in sides):
        return None
    old = b"" if pair.old is None else pair.old.read()
    new = b"" if pair.new is None else pair.new.read()
    return None if b"\0" in old or b"\0" in new else (old, new)


def _mode_lines(pair: Pair) -> Iterator[bytes]:
    if pair.old is None and pair.new is not None:
        yield b"new file mode %o\n" % pair.new.git_mode
    elif pair.new is None and pair.old is not None:
        yield b"deleted file mode %o\n" % pair.old.git_mode
    elif pair.old is not None and pair.new is not None and pair.old.git_mode != pair.new.git_mode:
        yield b"old mode %o\nnew mode %o\n" % (pair.old.git_mode, pair.new.git_mode)


def _index_mode(pair: Pair) -> bytes:
    if pair.old is None or pair.new is None or pair.old.git_mode != pair.new.git_mode:
        return b""
    return b" %o" % pair.new.git_mode


def _file_name(name: bytes, side: Side | None) -> bytes:
    """As git writes it: a tab after a name with a space tells where it ends."""
    if side is None:
        return b"/dev/null"
    return quoted(name) + (b"\t" if b" " in name else b"")


def _binary_lines(pair: Pair) -> Iterator[bytes]:
    yield b"GIT binary patch\n"
    small = all(side is not None and side.size <= MAX_DELTA_BYTES for side in (pair.old, pair.new))
    old = pair.old.read() if small and pair.old is not None else b""
    new = pair.new.read() if small and pair.new is not None else b""
    yield from delta(old, new) or _literal(pair.new)
    yield from delta(new, old) or _literal(pair.old)


def _literal(side: Side | None) -> Iterator[bytes]:
    return literal(0, ()) if side is None else literal(side.size, side.chunks())


def hunk_lines(
    old: Sequence[bytes], new: Sequence[bytes], regions: Sequence[Region], context: int = 3
) -> Iterator[bytes]:
    """The hunks of a unified diff. Each line ends with a newline, one without it has the usual mark."""
    for group in grouped(regions, context):
        first, last = group[0], group[-1]
        start = max(0, first.old_start - context)
        end = min(len(old), last.old_end + context)
        new_start = first.new_start - (first.old_start - start)
        new_end = last.new_end + (end - last.old_end)
        yield b"@@ -%s +%s @@\n" % (_range(start, end), _range(new_start, new_end))
        at = start
        for region in group:
            yield from _marked(b" ", old[at : region.old_start])
            yield from _marked(b"-", old[region.old_start : region.old_end])
            yield from _marked(b"+", new[region.new_start : region.new_end])
            at = region.old_end
        yield from _marked(b" ", old[at:end])


def _range(start: int, end: int) -> bytes:
    count = end - start
    first = start + 1 if count else start
    return b"%d" % first if count == 1 else b"%d,%d" % (first, count)


def _marked(mark: bytes, lines: Sequence[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield mark + line if line.endswith(b"\n") else mark + line + _NO_NEWLINE


def quoted(name: bytes, *, must: bool = False) -> bytes:
    """A name as git writes it: between quotes, with C escapes, when it has anything unusual or if it `must`."""
    shown = b"".join(map(_QUOTE, name))
    return name if shown == name and not must else b'"' + shown + b'"'


def _escape(byte: int) -> bytes:
    if byte in _SHORT:
        return _SHORT[byte]
    return bytes([byte]) if 0x20 <= byte < 0x7F else b"\\%03o" % byte


_QUOTE: Final[Callable[[int], bytes]] = [_escape(byte) for byte in range(256)].__getitem__
