"""Chains of layers as one: which directories they are mounted as, and what they changed together."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final, Protocol

from sandbox.errors import LayerKindError, LayerNotFoundError, PathRefusedError
from sandbox.workspace.beneath import open_regular, opened
from sandbox.workspace.display import display
from sandbox.workspace.layer import LayerKind, LayerName
from sandbox.workspace.manifest import EntryKind, Manifest, merge
from sandbox.workspace.register import Placed, Register
from sandbox.workspace.segments import Segment, Stack, push, visible

_STACKS_KEPT: Final = 512
_MERGED_KEPT: Final = 8


class Segments(Protocol):
    """Where segments of any open volume are."""

    def is_built(self, segment: Segment) -> bool:
        """Whether a merged segment is there."""
        ...

    def directory(self, segment: Segment) -> Path:
        """Its directory. Raises LayerNotFoundError: its volume is not open."""
        ...

    def manifest(self, segment: Segment) -> Manifest:
        """What it changed, built or not. Raises LayerNotFoundError, LayerCorruptError."""
        ...


class Chains:
    """Answers for any committed layer. Remembers what was asked for lately. Safe to use from several threads."""

    def __init__(self, register: Register, segments: Segments) -> None:
        self._register = register
        self._segments = segments
        self._lock = threading.RLock()
        self._stacks: OrderedDict[LayerName, Stack] = OrderedDict()
        self._merged: OrderedDict[LayerName, Manifest] = OrderedDict()

    def stack(self, name: LayerName) -> Stack:
        """The chain up to `name` as it should be mounted. Raises LayerNotFoundError."""
        with self._lock:
            known = self._stacks.get(name)
            if known is None:
                known = self._count(self._register.chain(name))
            return self._remember(name, known)

    def _count(self, rows: list[Placed]) -> Stack:
        start = next((n for n in range(len(rows), 0, -1) if rows[n - 1].layer.id in self._stacks), 0)
        stack = self._stacks[LayerName(rows[start - 1].layer.id)] if start else ()
        for row in rows[start:]:
            stack = _with(stack, row)
        return stack

    def add(self, row: Placed) -> Stack | None:
        """The stack of a layer that was committed just now; None when that of its parent is not known."""
        with self._lock:
            below = () if row.layer.parent is None else self._stacks.get(row.layer.parent)
            return None if below is None else self._remember(LayerName(row.layer.id), _with(below, row))

    def _remember(self, name: LayerName, stack: Stack) -> Stack:
        self._stacks[name] = stack
        self._stacks.move_to_end(name)
        if len(self._stacks) > _STACKS_KEPT:
            self._stacks.popitem(last=False)
        return stack

    def forget(self, name: LayerName) -> None:
        """A layer is gone."""
        with self._lock:
            self._stacks.pop(name, None)
            self._merged.pop(name, None)

    def visible(self, name: LayerName) -> list[Segment]:
        """What there is of the chain to be mounted now, bottom first."""
        return visible(self.stack(name), self._segments.is_built)

    def merged(self, name: LayerName) -> Manifest:
        """What the whole chain changed."""
        with self._lock:
            found = self._merged.get(name)
            if found is None:
                found = merge(self._pieces(name))
            self._merged[name] = found
            self._merged.move_to_end(name)
            if len(self._merged) > _MERGED_KEPT:
                self._merged.popitem(last=False)
            return found

    def _pieces(self, name: LayerName) -> list[Manifest]:
        """Few manifests that make up the whole chain: its parent's when that is known, else the segments'."""
        row = self.committed(name)
        below = Manifest() if row.layer.parent is None else self._merged.get(row.layer.parent)
        if below is None:
            return [self._segments.manifest(segment) for segment in self.visible(name)]
        return [below] if row.layer.empty else [below, self.manifest(row)]

    def between(self, name: LayerName, down_to: LayerName | None) -> Manifest:
        """What the layers above `down_to` up to `name` changed. Raises LayerKindError: it is not below `name`."""
        pieces = []
        current: LayerName | None = name
        while current is not None and current != down_to:
            row = self.committed(current)
            pieces.append(self.manifest(row))
            current = row.layer.parent
        if current != down_to:
            raise LayerKindError(str(down_to), f"is not below {name}")
        return merge(reversed(pieces))

    def manifest(self, row: Placed) -> Manifest:
        """What a committed layer alone changed."""
        name = LayerName(row.layer.id)
        return Manifest() if row.layer.empty else self._segments.manifest(_segment(row, name))

    def committed(self, name: LayerName) -> Placed:
        """Raises LayerNotFoundError: there is no committed layer of this name."""
        row = self._register.get(name)
        if row.layer.kind is not LayerKind.COMMITTED:
            raise LayerNotFoundError(name)
        return row

    def open_file(self, name: LayerName, path: bytes) -> int:
        """See `LayerStore.open_file`."""
        for segment in reversed(self.visible(name)):
            manifest = self._segments.manifest(segment)
            entry = manifest.get(path)
            if entry is not None and entry.kind is EntryKind.FILE:
                with opened(self._segments.directory(segment)) as fd:
                    return open_regular(fd, path)
            if manifest.hides(path):
                break
        raise PathRefusedError(display(path), "no layer has a regular file there")


def _segment(row: Placed, name: LayerName) -> Segment:
    return Segment(0, name, row.layer.volume, row.place)


def _with(stack: Stack, row: Placed) -> Stack:
    if row.layer.empty:
        return stack
    return push(stack, LayerName(row.layer.id), row.layer.volume, row.place)
