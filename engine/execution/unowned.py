"""What of the layers nobody needs: volumes whose execution is gone, layers that no checkpoint is and nothing stands on.

A volume belongs to the execution whose id its own begins with. It outlives it when a fork stands on it, and goes when
the fork is gone; a kill while an execution is being accepted leaves one, too. The store itself never lets go of what
something stands on, in this process or another.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from contextlib import ExitStack

from engine.errors import ExecutionLockedError, NotFoundError
from engine.execution.locks import ExecutionLocks
from engine.execution.logs import LogStore
from engine.failpoints import EnginePoint
from engine.journal.journal import Journal
from sandbox.errors import LayerInUseError, LayerNotFoundError
from sandbox.failpoints import reached
from sandbox.workspace.layer import Layer, LayerKind, LayerName, VolumeId
from sandbox.workspace.store import LayerStore


def owner_of(volume: VolumeId) -> str:
    """The id of the execution that a volume was made for. Pure."""
    return volume.partition("-")[0]


class Standing:
    """All layers of a store as they were when this was made, and how many stand on each; kept up as layers go."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers = {layer.id: layer for layer in layers}
        self._number = {name: number for number, name in enumerate(self._layers)}
        self._above = Counter(layer.parent for layer in self._layers.values())
        self._in: defaultdict[VolumeId, list[str]] = defaultdict(list)
        for layer in self._layers.values():
            self._in[layer.volume].append(layer.id)

    def loose(self, volumes: Iterable[VolumeId], named: Collection[str | None]) -> list[LayerName]:
        """Committed layers of these volumes that are not in `named` and that nothing stands on but others of them.

        In an order in which they can be removed.
        """
        inside = [self._layers[name] for volume in volumes for name in self._in[volume] if name in self._layers]
        gone: Counter[str | None] = Counter()
        found = []
        for layer in sorted(inside, key=lambda layer: self._number[layer.id], reverse=True):
            needed = layer.id in named or self._above[LayerName(layer.id)] > gone[layer.id]
            if layer.kind is LayerKind.COMMITTED and not needed:
                gone[layer.parent] += 1
                found.append(LayerName(layer.id))
        return found

    def forget(self, name: str) -> None:
        """It is gone."""
        self._above[self._layers.pop(name).parent] -= 1

    def forget_volume(self, volume: VolumeId) -> None:
        """It is gone, with all its layers."""
        for name in self._in.pop(volume, []):
            if name in self._layers:
                self.forget(name)


def remove_loose(
    store: LayerStore, standing: Standing, volumes: Iterable[VolumeId], named: Collection[str | None]
) -> int:
    """Remove what `Standing.loose` names; returns the bytes that it held. Blocking.

    Preconditions: the volumes' execution is locked or gone. What another process stood on meanwhile stays.
    """
    going = standing.loose(volumes, named)
    freed_bytes = 0
    with ExitStack() as stack:
        for volume in dict.fromkeys(store.stat(name).volume for name in going):
            stack.enter_context(store.using(volume))
        for name in going:
            held = store.usage(name).bytes
            try:
                store.remove(name)
            except LayerInUseError:
                continue
            reached(EnginePoint.GC_LAYER_REMOVED)
            standing.forget(name)
            freed_bytes += held
    return freed_bytes


def volumes_of_owners(store: LayerStore) -> defaultdict[str, list[VolumeId]]:
    """The volumes of each execution. Blocking."""
    found: defaultdict[str, list[VolumeId]] = defaultdict(list)
    for volume in store.volumes():
        found[owner_of(volume)].append(volume)
    return found


def remove_unowned(
    journal: Journal, store: LayerStore, locks: ExecutionLocks, logs: LogStore, standing: Standing | None = None
) -> tuple[list[VolumeId], int]:
    """Remove the volumes that no execution owns and nothing stands on, and what else is left of these executions.

    With `standing`, of the other unowned volumes also the layers that nothing stands on; that opens them. Leaves alone
    what is being accepted or used by any process. Returns what was removed, and the bytes that it held. Blocking.
    """
    removed: list[VolumeId] = []
    freed_bytes = 0
    # Newest first: what stands on another volume was made after it.
    for owner, volumes in reversed(volumes_of_owners(store).items()):
        if _is_known(journal, owner):
            continue
        mine = volumes[::-1]
        try:
            with locks.held(owner):
                if _is_known(journal, owner):  # accepted while we waited
                    continue
                logs.remove(owner)
                gone, held = _remove_volumes(store, mine, standing)
                left = [volume for volume in mine if volume not in gone]
                if standing is not None and left:
                    # Volumes of one execution can stand on each other: only without their layers they go.
                    freed_bytes += remove_loose(store, standing, left, ())
                    more, held_more = _remove_volumes(store, left, standing)
                    gone, held = gone + more, held + held_more
                removed += gone
                freed_bytes += held
                locks.forget(owner)
        except (ExecutionLockedError, LayerNotFoundError):
            continue  # in use, or another process was faster
    return removed, freed_bytes


def _remove_volumes(
    store: LayerStore, volumes: Iterable[VolumeId], standing: Standing | None
) -> tuple[list[VolumeId], int]:
    """Those that nothing stands on."""
    removed, freed_bytes = [], 0
    for volume in volumes:
        held = store.disk_bytes(volume)
        try:
            store.remove_volume(volume)
        except LayerInUseError:
            continue
        removed.append(volume)
        freed_bytes += held
        if standing is not None:
            standing.forget_volume(volume)
    return removed, freed_bytes


def _is_known(journal: Journal, execution_id: str) -> bool:
    try:
        journal.execution(execution_id)
    except NotFoundError:
        return False
    return True
