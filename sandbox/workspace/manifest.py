"""Manifests: what a layer changed, as pure data, and the algebra on them.

A manifest lists every entry of one layer (or of several merged ones) over whatever lies below:
files with their content's digest, directories, links, and *whiteouts* (deletions). A directory that
is *opaque* hides everything that lies below it. Nothing in here touches a disk (`tree.scan` does);
paths are bytes, relative to the workspace, `/`-separated, never empty, never with `.` or `..` parts.

What a scan makes has every ancestor of every entry, because overlayfs copies parents up first. A
manifest made by hand (a mask of whiteouts) may leave ancestors out: they are then directories below
that it does not change.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Final


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
    An entry with `link` repeats the attributes of the first name, so that each entry can be read alone.
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


_LETTERS: Final = {
    EntryKind.FILE: b"f",
    EntryKind.DIRECTORY: b"d",
    EntryKind.SYMLINK: b"l",
    EntryKind.WHITEOUT: b"w",
    EntryKind.FIFO: b"p",
    EntryKind.SOCKET: b"s",
    EntryKind.CHARDEV: b"c",
    EntryKind.BLOCKDEV: b"b",
}
_KINDS: Final = {letter: kind for kind, letter in _LETTERS.items()}
_OPAQUE: Final = b"D"
_HEADER: Final = b"sandstone-manifest-1\0"
_FIELDS: Final = 9
_BAD_PATH: Final = re.compile(rb"(?:\A|/)(?:\.\.?)?(?:/|\Z)|\0")
_ORDER: Final = bytes.maketrans(b"/", b"\0")


def order(path: bytes) -> bytes:
    """Sort key of paths: a directory first, then all that is in it, then its next sibling."""
    return path.translate(_ORDER)


def parent(path: bytes) -> bytes:
    """The directory that `path` is in; b"" for a name in the root, and for the root."""
    return path.rpartition(b"/")[0]


def ancestors(path: bytes) -> Iterator[bytes]:
    """The directories above `path`, outermost first, without the root."""
    cut = path.find(b"/")
    while cut != -1:
        yield path[:cut]
        cut = path.find(b"/", cut + 1)


class Manifest:
    """An immutable set of entries, ordered by path so that a directory comes before what is in it.

    The order is that of `order`: everything inside a directory follows it without a gap.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        """Raises ValueError: a path that is not well-formed or comes twice, or a `link` that does not
        name an earlier file of the manifest."""
        listed = sorted(entries, key=lambda entry: order(entry.path))
        for entry in listed:
            if _BAD_PATH.search(entry.path):
                raise ValueError(f"not a path of a tree: {entry.path!r}")
        self._entries = {entry.path: entry for entry in listed}
        if len(self._entries) != len(listed):
            raise ValueError("a path comes twice")
        for entry in listed:
            if entry.link is not None:
                self._check_link(entry)

    def _check_link(self, entry: Entry) -> None:
        first = self._entries.get(entry.link or b"")
        good = first is not None and first.kind is EntryKind.FILE and first.link is None
        if not good or entry.kind is not EntryKind.FILE or order(entry.link or b"") >= order(entry.path):
            raise ValueError(f"{entry.path!r} is linked to {entry.link!r}, which is no earlier file")

    @classmethod
    def _of(cls, ordered: dict[bytes, Entry]) -> Manifest:
        """Preconditions: `ordered` is well-formed and in order; nobody else keeps it."""
        made = cls.__new__(cls)
        made._entries = ordered
        return made

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Manifest):
            return NotImplemented
        return self._entries == other._entries

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Manifest({list(self._entries.values())!r})"

    def get(self, path: bytes) -> Entry | None:
        """The entry at exactly `path`."""
        return self._entries.get(path)

    def children(self, directory: bytes) -> Iterator[Entry]:
        """The entries directly inside `directory` (b"" is the root)."""
        return iter(self._children.get(directory, ()))

    @cached_property
    def _children(self) -> dict[bytes, list[Entry]]:
        inside: dict[bytes, list[Entry]] = {}
        for entry in self._entries.values():
            inside.setdefault(parent(entry.path), []).append(entry)
        return inside

    def hides(self, path: bytes) -> bool:
        """True when what lies below this manifest at `path` is not visible through it (an ancestor, or the
        path itself, is a whiteout, an opaque directory above it, or not a directory)."""
        own = self._entries.get(path)
        if own is not None and own.kind is not EntryKind.DIRECTORY:
            return True
        return any(_covers(self._entries.get(above)) for above in ancestors(path))

    def hides_inside(self, directory: bytes) -> bool:
        """True when nothing that lies below this manifest inside `directory` is visible through it."""
        return _covers(self._entries.get(directory)) or self.hides(directory)

    def to_bytes(self) -> bytes:
        """The canonical form: same entries, same bytes.

        A header, then nine fields for each entry, each ended by a NUL: kind letter (`D`: an opaque
        directory), mode (octal), size, mtime_ns, digest, path, link (`=` before the name, so that none
        and some differ), target, xattrs (`name=value` in hex, comma between). No name has a NUL.
        """
        fields = [_HEADER[:-1]]
        for e in self._entries.values():
            letter = _OPAQUE if e.opaque else _LETTERS[e.kind]
            fields += (letter, b"%o" % e.mode, b"%d" % e.size, b"%d" % e.mtime_ns, e.digest.encode())
            fields += (e.path, b"" if e.link is None else b"=" + e.link, e.target)
            fields.append(_xattrs_to_bytes(e.xattrs) if e.xattrs else b"")
        fields.append(b"")
        return b"\0".join(fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Inverse of `to_bytes`. Raises ValueError on anything else."""
        fields = data.split(b"\0")
        if not data.startswith(_HEADER) or (len(fields) - 2) % _FIELDS or fields[-1]:
            raise ValueError("not a manifest, or cut short")
        made = cls(_entry_of(fields[at : at + _FIELDS]) for at in range(1, len(fields) - 1, _FIELDS))
        if made.to_bytes() != data:
            raise ValueError("not in canonical form")
        return made

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of `to_bytes()`."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def _covers(entry: Entry | None) -> bool:
    """True when nothing below the manifest is visible inside this entry's path."""
    return entry is not None and (entry.opaque or entry.kind is not EntryKind.DIRECTORY)


def _xattrs_to_bytes(xattrs: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b",".join(b"%s=%s" % (name.hex().encode(), value.hex().encode()) for name, value in xattrs)


def _xattrs_from_bytes(field: bytes) -> tuple[tuple[bytes, bytes], ...]:
    if not field:
        return ()
    pairs = (pair.decode("ascii").split("=") for pair in field.split(b","))
    return tuple((bytes.fromhex(name), bytes.fromhex(value)) for name, value in pairs)


def _entry_of(fields: list[bytes]) -> Entry:
    letter, mode, size, mtime_ns, digest, path, link, target, xattrs = fields
    kind = EntryKind.DIRECTORY if letter == _OPAQUE else _KINDS.get(letter)
    if kind is None:
        raise ValueError(f"unknown kind of entry {letter!r}")
    return Entry(
        path,
        kind,
        int(mode, 8),
        int(size),
        int(mtime_ns),
        digest.decode("ascii"),
        target,
        link[1:] if link else None,
        _xattrs_from_bytes(xattrs),
        letter == _OPAQUE,
    )


def relink(groups: Iterable[Iterable[Entry]]) -> Iterator[Entry]:
    """The entries of each group, which are names of one file, with `link` naming the first in order."""
    for group in groups:
        names = sorted(group, key=lambda entry: order(entry.path))
        first = names[0].path if names else b""
        for entry in names:
            link = None if entry.path == first else first
            yield entry if entry.link == link else replace(entry, link=link)


def merge(bottom_to_top: Iterable[Manifest]) -> Manifest:
    """The one manifest that has the same effect over any base as these, stacked.

    As overlayfs stacks layers: the topmost entry of a path wins; a whiteout, an opaque directory and
    anything that is not a directory hide what lies below their path. Whiteouts are kept, since the base
    may have the path. Directories over directories keep the top one's attributes, and become opaque
    where one further down was opaque or where they took the place of something else. Names of one
    hard-linked file stay linked to each other as far as they survive; over layers nothing is linked.
    """
    stack = list(bottom_to_top)
    if len(stack) == 1:
        return stack[0]
    merged: dict[bytes, Entry] = {}
    covering: set[bytes] = set()
    links: dict[tuple[int, bytes], list[Entry]] = {}
    for depth, layer in enumerate(reversed(stack)):
        _lay_under(merged, covering, layer, depth, links)
    merged.update((entry.path, entry) for entry in relink(links.values()))
    return Manifest._of({path: merged[path] for path in sorted(merged, key=order)})


def _lay_under(
    merged: dict[bytes, Entry],
    covering: set[bytes],
    layer: Manifest,
    depth: int,
    links: dict[tuple[int, bytes], list[Entry]],
) -> None:
    """Add to `merged` what of `layer` is visible below it; `covering` are the paths that hide their inside.

    What `layer` itself covers must hide nothing of `layer`, so `covering` grows only at the end.
    """
    newly_covering = []
    hidden: dict[bytes, bool] = {b"": False}
    linked = {entry.link for entry in layer if entry.link is not None}
    for entry in layer:
        if _hidden(parent(entry.path), covering, hidden):
            continue
        above = merged.get(entry.path)
        if above is None:
            merged[entry.path] = entry
            if entry.link is not None or entry.path in linked:
                links.setdefault((depth, entry.link or entry.path), []).append(entry)
        elif above.kind is EntryKind.DIRECTORY and not above.opaque and _covers(entry):
            merged[entry.path] = replace(above, opaque=True)
        else:
            continue
        if _covers(merged[entry.path]):
            newly_covering.append(entry.path)
    covering.update(newly_covering)


def _hidden(directory: bytes, covering: set[bytes], known: dict[bytes, bool]) -> bool:
    """True when `directory` or one above it is in `covering`; `known` remembers answers."""
    answer = known.get(directory)
    if answer is None:
        answer = directory in covering or any(above in covering for above in ancestors(directory))
        known[directory] = answer
    return answer
