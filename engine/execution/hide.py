"""Turns `hide` patterns into a mask: a manifest of whiteouts that lies directly above the base.

Patterns are those of .gitignore (a pattern without a slash matches at any depth, `**` crosses directories,
`!` takes back). They are matched once against the base as it is when the execution starts; when it goes on in another
process, or as a fork, the plan's own patterns mean what the execution's volume was made with.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sandbox.workspace.beneath import opened
from sandbox.workspace.manifest import Entry, EntryKind, Manifest
from sandbox.workspace.tree import TreeLimits, walk

_BASE_LIMITS: Final = TreeLimits(entries=10_000_000, depth=1000, file_bytes=1 << 62, total_bytes=1 << 62)
"""The base is the user's own: only what would exhaust this process is refused."""


class HiddenPaths:
    """Masks over one base; each set of patterns is matched once. known: patterns that were matched before."""

    def __init__(self, base: Path, known: Mapping[tuple[str, ...], Manifest | None] = MappingProxyType({})) -> None:
        self._base = base
        self._masks: dict[tuple[str, ...], Manifest | None] = dict(known)

    def mask(self, patterns: tuple[str, ...]) -> Manifest | None:
        """The mask for these patterns; None when nothing matches. Blocking: walks the base.

        Raises:
          TreeRefusedError: the base breaks a bound of the tree reader.
        """
        if patterns not in self._masks:
            self._masks[patterns] = self._match(patterns) if patterns else None
        return self._masks[patterns]

    def _match(self, patterns: tuple[str, ...]) -> Manifest | None:
        from engine.checkpoints.gitignore import spec_of

        spec = spec_of(patterns)
        hidden: list[bytes] = []
        directories: set[bytes] = set()
        with opened(self._base) as root:
            for found in walk(root, _BASE_LIMITS):
                if _is_below(found.path, directories):
                    continue
                text = os.fsdecode(found.path)
                is_directory = stat.S_ISDIR(found.stat.st_mode)
                if spec.match_file(text + "/" if is_directory else text):
                    hidden.append(found.path)
                    if is_directory:
                        directories.add(found.path)
        if not hidden:
            return None
        return Manifest(Entry(path=path, kind=EntryKind.WHITEOUT) for path in hidden)


def together(one: Manifest | None, other: Manifest | None) -> Manifest | None:
    """A mask that hides what either hides. Pure."""
    if one is None or other is None:
        return other if one is None else one
    added = [entry for entry in other if not one.hides(entry.path)]
    new = Manifest(added)
    return Manifest([*(entry for entry in one if not new.hides(entry.path)), *added])


def _is_below(path: bytes, directories: set[bytes]) -> bool:
    """Whether one of the directories holds `path`, at any depth."""
    while directories and b"/" in path:
        path = path.rpartition(b"/")[0]
        if path in directories:
            return True
    return False
