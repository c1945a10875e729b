"""`Results`: what an execution has come to, looked at and brought home: differences, exports, apply, undo.

Every method that reads layers opens the execution's volumes for as long as it works and closes them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.checkpoints.position import tree_at
from engine.journal.journal import Journal
from engine.journal.records import CheckpointRecord, ExecutionRecord
from sandbox.workspace.changes import Change, Tree, changes
from sandbox.workspace.layer import VolumeId
from sandbox.workspace.manifest import Manifest
from sandbox.workspace.store import LayerStore


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two positions of one execution and what differs between them; valid while its block is open."""

    record: ExecutionRecord
    old: Tree
    new: Tree
    changes: list[Change]


class Comparer:
    """Opens two positions of an execution side by side. Blocking."""

    def __init__(self, journal: Journal, store: LayerStore) -> None:
        self._journal = journal
        self._store = store

    @contextmanager
    def compared(self, execution_id: str, a: str | None, b: str | None) -> Iterator[Comparison]:
        """The difference from checkpoint `a` (default: the start) to `b` (default: the head), for the block.

        Raises:
          NotFoundError: no such execution or checkpoint. LayerCorruptError: a layer is damaged.
          TreeRefusedError: the user's directory is gone or cannot be read.
        """
        record = self._journal.execution(execution_id)
        old = self._journal.checkpoint(execution_id, a) if a else self._journal.checkpoints(execution_id)[0]
        new = self._journal.checkpoint(execution_id, b or record.head)
        with self._volumes(execution_id):
            hide = self._store.mask(VolumeId(execution_id))
            base = Path(record.workspace)
            with (
                tree_at(self._store, base, hide, old.layer) as before,
                tree_at(self._store, base, hide, new.layer) as after,
            ):
                touched = self._touched(old, new)
                yield Comparison(record, before, after, changes(before, after, touched))

    def _touched(self, old: CheckpointRecord, new: CheckpointRecord) -> list[Manifest]:
        """Manifests that name every path at which the two can differ."""
        return [self._store.merged_manifest(record.layer) for record in (old, new) if record.layer is not None]

    @contextmanager
    def _volumes(self, execution_id: str) -> Iterator[None]:
        opened = []
        try:
            for volume in self._store.volumes():
                if volume == execution_id or volume.startswith(f"{execution_id}-"):
                    self._store.open_volume(volume)
                    opened.append(volume)
            yield
        finally:
            for volume in opened:
                self._store.close_volume(volume)


def selected(found: Sequence[Change], paths: Sequence[bytes]) -> list[Change]:
    """Those at or below one of `paths`; all when there are none."""
    if not paths:
        return list(found)
    return [c for c in found if any(c.path == p or c.path.startswith(p + b"/") for p in paths)]
