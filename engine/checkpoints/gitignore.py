"""Patterns as of `.gitignore`. A module of its own, so that only commands that were given patterns load the library."""

from __future__ import annotations

from collections.abc import Sequence

import pathspec


def spec_of(patterns: Sequence[str]) -> pathspec.GitIgnoreSpec:
    """What matches the patterns, the later ones over the earlier. Raises ValueError: not a pattern."""
    return pathspec.GitIgnoreSpec.from_lines(patterns)
