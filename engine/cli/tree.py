"""The tree of checkpoints as text. Pure.

The line from the start to the head (or, past it, to the newest) runs straight down; what branches off it is
indented above the checkpoint that went on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.journal.records import CheckpointRecord

MAX_INDENT: Final = 40
"""Branches of branches deeper than this are drawn at this depth."""


@dataclass(frozen=True, slots=True)
class TreeLine:
    """One checkpoint and what is drawn before it."""

    drawing: str
    checkpoint: CheckpointRecord


def tree_lines(checkpoints: Sequence[CheckpointRecord], head: str, unicode: bool = True) -> list[TreeLine]:
    """The checkpoints in drawing order. Iterative: an execution may have thousands in one line."""
    children: defaultdict[str | None, list[CheckpointRecord]] = defaultdict(list)
    for record in checkpoints:
        children[record.parent].append(record)
    trunk = _line_to(checkpoints, head)
    bar, knee = ("│ ", "├─") if unicode else ("| ", "|-")
    lines: list[TreeLine] = []
    waiting = [(root, "", "") for root in reversed(children[None])]
    while waiting:
        record, indent, mark = waiting.pop()
        lines.append(TreeLine(indent + mark, record))
        below = children[record.id]
        if not below:
            continue
        main = next((child for child in below if child.id in trunk), below[-1])
        deeper = (indent + mark.replace(knee, bar))[:MAX_INDENT]
        waiting.append((main, deeper, ""))
        waiting += [(child, deeper, knee) for child in reversed(below) if child is not main]
    return lines


def _line_to(checkpoints: Sequence[CheckpointRecord], head: str) -> set[str]:
    parent = {record.id: record.parent for record in checkpoints}
    line: set[str] = set()
    current: str | None = head
    while current is not None and current not in line:
        line.add(current)
        current = parent.get(current)
    return line
