"""Turns `hide` patterns into a mask: a manifest of whiteouts that lies directly above the base.

Patterns are those of .gitignore (a pattern without a slash matches at any depth, `**` crosses directories,
`!` takes back). They are matched once against the base as it is when the execution starts.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pathspec

from sandbox.workspace.manifest import Entry, EntryKind, Manifest
from sandbox.workspace.tree import open_root, walk


class HiddenPaths:
    """Masks over one base; each set of patterns is matched once."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._masks: dict[tuple[str, ...], Manifest | None] = {}

    def mask(self, patterns: tuple[str, ...]) -> Manifest | None:
        """The mask for these patterns; None when nothing matches. Blocking: walks the base.

        Raises:
          TreeRefusedError: the base breaks a bound of the tree reader.
        """
        if not patterns:
            return None
        if patterns not in self._masks:
            self._masks[patterns] = self._match(patterns)
        return self._masks[patterns]

    def _match(self, patterns: tuple[str, ...]) -> Manifest | None:
        spec = pathspec.GitIgnoreSpec.from_lines(patterns)
        hidden: list[bytes] = []
        root = open_root(self._base)
        try:
            for found in walk(root):
                text = os.fsdecode(found.path)
                is_directory = stat.S_ISDIR(found.status.st_mode)
                if hidden and found.path.startswith(hidden[-1] + b"/"):
                    continue
                if spec.match_file(text + "/" if is_directory else text):
                    hidden.append(found.path)
        finally:
            os.close(root)
        if not hidden:
            return None
        return Manifest(Entry(path=path, kind=EntryKind.WHITEOUT) for path in hidden)
