"""The volumes of an overlay store that this process has open, with everything that is mounted in them.

A volume is open when somebody asked for it or has it borrowed, or when layers of such a volume stand on layers of it.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import LayerCorruptError, LayerExistsError, LayerInUseError, LayerNotFoundError, TreeRefusedError
from sandbox.failpoints import SandboxPoint, reached
from sandbox.workspace.care import unnamed
from sandbox.workspace.layer import LayerKind, VolumeId
from sandbox.workspace.manifest import Manifest, merge
from sandbox.workspace.merging import SegmentKeeper
from sandbox.workspace.mounting import Mounter
from sandbox.workspace.register import Placed, Register, Volume
from sandbox.workspace.segments import Segment
from sandbox.workspace.shelf import Shelf
from sandbox.workspace.volumes import Volumes


@dataclass
class OpenVolume:
    """A volume that is open. Whoever uses it holds `lock`.

    mask: the directory of whiteouts directly above the base, "" when nothing is hidden. mounted: for each key
    where it is mounted, and the work directory that the mount uses.
    """

    row: Volume
    shelf: Shelf
    keeper: SegmentKeeper
    mask: str
    mounter: Mounter
    lock: threading.RLock = field(default_factory=threading.RLock)
    mounted: dict[str, tuple[Path, str]] = field(default_factory=dict)

    def free_work(self, lease: str) -> str:
        """The name of a work directory of this process that no mount uses."""
        taken = {name for _, name in self.mounted.values()}
        return next(name for name in (f"{lease}-{number}" for number in itertools.count()) if name not in taken)

    def unmount(self, key: str) -> None:
        """Undo a mount; no-op when there is none. Raises MountError: it is busy, and stays."""
        if key in self.mounted:
            self.mounter.unmount(self.mounted[key][0])
            del self.mounted[key]

    def delete(self, directory: Path) -> None:
        """Delete a directory of the volume, with the mounter's rights where the caller's are not enough."""
        try:
            self.shelf.delete(directory)
        except TreeRefusedError:
            if os.geteuid() == 0:
                raise
            self.mounter.discard(directory)


class OpenSegments:
    """`chains.Segments` of the volumes that are open."""

    def __init__(self, register: Register, places: Mapping[VolumeId, OpenVolume]) -> None:
        self._register = register
        self._places = places

    def is_built(self, segment: Segment) -> bool:
        return self._place(segment).keeper.is_built(segment)

    def directory(self, segment: Segment) -> Path:
        shelf = self._place(segment).shelf
        return shelf.merged(segment.place) if segment.level else shelf.layer(segment.place)

    def manifest(self, segment: Segment) -> Manifest:
        shelf = self._place(segment).shelf
        if segment.level == 0:
            return shelf.kept_manifest(segment.place) or shelf.layer_manifest(self._register.get(segment.top))
        return shelf.segment_manifest(segment.place) or merge(self.manifest(part) for part in segment.parts)

    def _place(self, segment: Segment) -> OpenVolume:
        place = self._places.get(segment.volume)
        if place is None:
            raise LayerNotFoundError(segment.top)
        return place


class OpenVolumes:
    """Opens and closes volumes with all that they stand on. The caller has one thread in `create` to `sweep`."""

    def __init__(self, root: Path, register: Register, volumes: Volumes, mounter: Mounter, lease: str) -> None:
        self._root = root
        self._register = register
        self._volumes = volumes
        self._mounter = mounter
        self._lease = lease
        self._open: dict[VolumeId, OpenVolume] = {}
        self._asked_for: set[VolumeId] = set()
        self._borrowed: Counter[VolumeId] = Counter()
        self.segments = OpenSegments(register, self._open)

    def get(self, volume: VolumeId) -> OpenVolume:
        """Raises LayerNotFoundError: it is not open."""
        place = self._open.get(volume)
        if place is None:
            raise LayerNotFoundError(volume)
        return place

    def all(self) -> list[OpenVolume]:
        """Every open volume, in no order."""
        return list(self._open.values())

    def create(self, row: Volume, owner: tuple[int, int]) -> None:
        """Make a volume and open it; all or nothing. Raises as `LayerStore.create_volume`."""
        if row.id in self._register.volumes():
            raise LayerExistsError(row.id)
        self._volumes.create(row.id, row.limit, owner)
        place: OpenVolume | None = None
        try:
            place = self._use(row)
            self._register.add_volume(row)
            reached(SandboxPoint.VOLUME_RECORDED)
        except BaseException:
            if place is not None:
                place.shelf.close()
            self._volumes.abandon(row.id)
            raise
        self._volumes.publish(row.id, row.limit)
        self._open[row.id] = place
        self._asked_for.add(row.id)

    def open(self, volume: VolumeId) -> None:
        """Raises as `LayerStore.open_volume`."""
        self._ensure(volume)
        self._asked_for.add(volume)

    def borrow(self, volume: VolumeId) -> None:
        """Open until it is given back as often, whoever closes it. Raises as `LayerStore.open_volume`."""
        self._ensure(volume)
        self._borrowed[volume] += 1

    def give_back(self, volume: VolumeId) -> None:
        """The end of one `borrow`. Raises MountError: something mounted is busy."""
        if self._borrowed[volume]:  # else everything was closed meanwhile
            self._borrowed[volume] -= 1
            self._borrowed += Counter()  # without those at zero
            self._release_unneeded()

    def _ensure(self, volume: VolumeId) -> None:
        already = set(self._open)
        try:
            self._open_with_ancestors(volume)
        except BaseException:
            self._release(set(self._open) - already)
            raise

    def _open_with_ancestors(self, volume: VolumeId) -> None:
        if volume in self._open:
            return
        row = self._register.volume(volume)
        try:
            self._volumes.open(volume, row.limit)
        except LayerNotFoundError as error:
            self._register.volume(volume)  # unless another process has just removed it
            raise LayerCorruptError(volume, "its files are gone") from error
        try:
            place = self._open[volume] = self._use(row)
        except BaseException:
            self._volumes.close(volume)
            raise
        self.sweep(place)
        for layer in self._register.of_volume(volume):
            if layer.layer.kind is LayerKind.COMMITTED:
                self._verify(place, layer)
        place.keeper.verify()
        for below in self._register.volumes_below(volume):
            self._open_with_ancestors(below)

    def _verify(self, place: OpenVolume, layer: Placed) -> None:
        try:
            place.shelf.verify(layer)
        except (LayerCorruptError, FileNotFoundError):
            if self._register.exists(layer.layer.id):  # else another process has just removed it
                raise

    def _use(self, row: Volume) -> OpenVolume:
        shelf = Shelf(self._volumes.path(row.id))
        try:
            keeper = SegmentKeeper(row.id, shelf, self._mounter, self._lease, self.segments.manifest)
            mask = "" if row.hide is None else shelf.mask(row.hide, row.base)
        except BaseException:
            shelf.close()
            raise
        return OpenVolume(row, shelf, keeper, mask, self._mounter)

    def close(self, volume: VolumeId) -> None:
        """Nobody asks for it any more. Raises MountError: something mounted is busy."""
        self._asked_for.discard(volume)
        self._release_unneeded()

    def _release_unneeded(self) -> None:
        needed = self._register.volumes_needed([*self._asked_for, *self._borrowed])
        self._release(set(self._open) - needed)

    def close_all(self) -> None:
        """Raises MountError: something mounted is busy."""
        self._asked_for.clear()
        self._borrowed.clear()
        self._release(set(self._open))

    def _release(self, volumes: set[VolumeId]) -> None:
        """What is mounted goes first, everywhere: a mount has directories of several volumes."""
        places = [self._open[volume] for volume in sorted(volumes)]
        for place in places:
            with place.lock:
                for key in list(place.mounted):
                    place.unmount(key)
        for place in places:
            with place.lock:
                place.keeper.stop()
                place.shelf.close()
                del self._open[place.row.id]
                self._volumes.close(place.row.id)

    def remove(self, volume: VolumeId) -> None:
        """Raises as `LayerStore.remove_volume`."""
        self._register.volume(volume)
        if volume in self._open:
            raise LayerInUseError(volume, "is open")
        with self._volumes.removal(volume) as free:
            if not free:
                raise LayerInUseError(volume, "another process has it open")
            self._register.remove_volume(volume)
            reached(SandboxPoint.VOLUME_FORGOTTEN)

    def sweep(self, place: OpenVolume) -> list[str]:
        """Delete what no row names in an open volume; says what, relative to the store."""
        with place.lock:
            directories = unnamed(self._root, place.row.id, place.shelf, self._register)
            for directory in directories:
                place.delete(directory)
        return [os.fspath(directory.relative_to(self._root)) for directory in directories]
