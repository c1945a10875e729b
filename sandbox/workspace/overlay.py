"""`OverlayLayerStore`: a layer is the upper directory of one overlay mount, kept where it was written.

Committing moves nothing: the layer is read into a manifest, the volume is synced, and one row turns the key
into a name. A layer that changed nothing has no files at all. A mount is made of a chain's merged segments
(`segments`), the mask and the base; owners are swapped by idmapped mounts, so that what belongs to the user on
disk is the sandbox's own inside, and the reverse.

On disk: `mnt` (a shared mount) with `volumes/<id>` (see `shelf`) and `slots`; `volumes/<id>.img` and `.lock`
(see `volumes`); `leases`. After a power cut active layers are gone for good: their mounts are volatile.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from sandbox.errors import (
    LayerExistsError,
    LayerInUseError,
    LayerKindError,
    MountError,
    TreeRefusedError,
)
from sandbox.failpoints import SandboxPoint, reached
from sandbox.spec import SANDBOX_UID
from sandbox.workspace.beneath import mounts_below, opened
from sandbox.workspace.care import SharedMount, lease_of, unmount_dead
from sandbox.workspace.chains import Chains
from sandbox.workspace.changes import BaseTree
from sandbox.workspace.display import display
from sandbox.workspace.layer import IDENTIFIER, DiskLimit, Layer, LayerKey, LayerKind, LayerName, Usage, VolumeId
from sandbox.workspace.leases import Lease, forget_dead, is_live
from sandbox.workspace.manifest import Entry, EntryKind, Manifest
from sandbox.workspace.mounting import Mounter
from sandbox.workspace.opening import OpenVolume, OpenVolumes
from sandbox.workspace.register import Placed, Register, Volume
from sandbox.workspace.segments import Segment
from sandbox.workspace.tree import DEFAULT_LIMITS, TreeLimits, scan
from sandbox.workspace.volumes import Volumes

MOST_LOWERS: Final = 400
"""Directories in one mount; the kernel takes 500."""
_MOST_PASSED: Final = 1000
"""Directories of a layer without anything else that are compared with what lies below."""
_BUILD_AT_LEAST: Final = 64
_BUILD_RATE: Final = 4
"""Links made for segments after a commit: this many for each entry of the layer, and a few more. Each entry is
linked once a level, so that with less than 16**4 layers the building keeps up."""


class OverlayLayerStore:
    """A `LayerStore` by overlay mounts in the directory `root`; see there for what every method promises.

    register: the rows; closed with the store. lease: this process's; without, the store takes one of its own.
    limits: bounds of what one layer may change. hard_limits: keep volumes in images; without, their limits are only
    counted. Nothing is mounted before a volume is made or opened. The store's lock is taken before a volume's.
    """

    def __init__(
        self,
        root: Path,
        register: Register,
        mounter: Mounter,
        limits: TreeLimits = DEFAULT_LIMITS,
        *,
        lease: str = "",
        hard_limits: bool = True,
    ) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root = Path(os.path.realpath(root))
        self._mnt = self._root / "mnt"
        self.slots.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._register = register
        self._mounter = mounter
        self._limits = limits
        self._own_lease = None if lease else Lease.acquire(self._root)
        self._lease = lease or (self._own_lease.name if self._own_lease else "")
        self._lock = threading.RLock()
        self._shared = SharedMount(self._mnt, mounter)
        self._volumes = Volumes(self._root, self._mnt / "volumes", mounter if hard_limits else None)
        self._open = OpenVolumes(self._root, register, self._volumes, mounter, self._lease)
        self._chains = Chains(register, self._open.segments)

    @property
    def late_mounts(self) -> bool:
        return True

    @property
    def slots(self) -> Path:
        """Where the directories are that containers are started over; below it mounts reach containers."""
        return self._mnt / "slots"

    def share(self) -> None:
        """Get ready to mount; before containers are started over slots. Idempotent. Raises MountError."""
        with self._lock:
            self._shared.hold()

    # -- volumes ---------------------------------------------------------------------------------

    def create_volume(self, volume: VolumeId, base: Path, limit: DiskLimit, hide: Manifest | None = None) -> None:
        _check_identifier(volume)
        base = Path(os.path.realpath(base))
        with opened(base) as fd:
            status = os.fstat(fd)
        mounted = mounts_below(base)
        if mounted:
            raise TreeRefusedError(display(mounted[0]), "is mounted below the project")
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else (os.getuid(), os.getgid())
        with self._lock:
            self._shared.hold()
            self._open.create(Volume(volume, base, limit, hide), owner)

    def open_volume(self, volume: VolumeId) -> None:
        with self._lock:
            self._register.volume(volume)
            self._shared.hold()
            self._open.open(volume)

    def close_volume(self, volume: VolumeId) -> None:
        with self._lock:
            self._open.close(volume)

    @contextmanager
    def using(self, volume: VolumeId) -> Iterator[None]:
        with self._lock:
            self._register.volume(volume)
            self._shared.hold()
            self._open.borrow(volume)
        try:
            yield
        finally:
            with self._lock:
                self._open.give_back(volume)

    def remove_volume(self, volume: VolumeId) -> None:
        with self._lock:
            self._open.remove(volume)

    def volumes(self) -> list[VolumeId]:
        return self._register.volumes()

    def disk_bytes(self, volume: VolumeId) -> int:
        self._register.volume(volume)
        return self._volumes.disk_bytes(volume)

    def mask(self, volume: VolumeId) -> Manifest | None:
        return self._register.volume(volume).hide

    def volume_usage(self, volume: VolumeId) -> tuple[Usage, DiskLimit]:
        place = self._open.get(volume)
        if self._volumes.hard:
            return self._volumes.usage(volume), self._volumes.capacity(volume, place.row.limit)
        held = [row.layer.usage for row in self._register.of_volume(volume)]
        return Usage(sum(usage.bytes for usage in held), sum(usage.inodes for usage in held)), place.row.limit

    # -- layers ----------------------------------------------------------------------------------

    def prepare(self, key: LayerKey, parent: LayerName | None, volume: VolumeId, hide: Manifest | None = None) -> Layer:
        return self._make(key, LayerKind.ACTIVE, parent, volume, hide)

    def view(self, key: LayerKey, parent: LayerName | None, volume: VolumeId) -> Layer:
        return self._make(key, LayerKind.VIEW, parent, volume, None)

    def _make(
        self, key: LayerKey, kind: LayerKind, parent: LayerName | None, volume: VolumeId, hide: Manifest | None
    ) -> Layer:
        _check_identifier(key)
        place = self._open.get(volume)
        with place.lock:
            if self._register.exists(key):
                raise LayerExistsError(key)
            depth = 1 if parent is None else self._parent(parent, place.row).layer.depth + 1
            name = f"{self._lease}-{secrets.token_hex(5)}"
            masked = hide is not None and hide != (place.row.hide or Manifest())
            if masked and hide is not None:
                name += f"-{place.shelf.mask(hide, place.row.base)}"
            # The row first: a directory of `layers` without one may be deleted by any process.
            placed = Placed(Layer(key, kind, volume, parent, depth), name, masked)
            self._register.add(placed)
            reached(SandboxPoint.LAYER_RECORDED)
            if kind is LayerKind.ACTIVE:
                try:
                    place.shelf.make_layer(name, place.row.base.stat())
                    reached(SandboxPoint.LAYER_MADE)
                except BaseException:
                    self._register.remove(key)
                    raise
            return placed.layer

    def _parent(self, name: LayerName, volume: Volume) -> Placed:
        row = self._register.get(name)
        if row.layer.kind is not LayerKind.COMMITTED:
            raise LayerKindError(name, f"is {row.layer.kind}, only a committed layer can be a parent")
        if self._open.get(row.layer.volume).row.base != volume.base:
            raise LayerKindError(name, "stands on another base")
        return row

    def mount(self, key: LayerKey, target: Path) -> Path:
        row = self._register.get(key)
        if row.layer.kind is LayerKind.COMMITTED:
            raise LayerKindError(key, "is committed; make a view of it")
        if self._mnt not in target.parents:
            raise MountError(os.fspath(target), f"is not below {self._mnt}, from where mounts reach containers")
        place = self._open.get(row.layer.volume)
        with place.lock:
            if key in place.mounted:
                raise LayerInUseError(key, "is mounted already")
            lowers = self._lowers(place, row)
            upper, work, name = None, None, ""
            if row.layer.kind is LayerKind.ACTIVE:
                name = place.free_work(self._lease)
                upper, work = place.shelf.layer(row.place), place.shelf.work(name)
            elif len(lowers) == 1:
                lowers.insert(0, place.shelf.nothing)  # one directory alone is no overlay
            swap = (*place.shelf.owner, SANDBOX_UID)
            if len(lowers) > MOST_LOWERS:
                raise MountError(os.fspath(target), f"it stands on {len(lowers)} layers that could not be merged")
            reached(SandboxPoint.BEFORE_MOUNT)
            self._mounter.mount_overlay(lowers, upper, work, target, swap)
            reached(SandboxPoint.AFTER_MOUNT)
            place.mounted[key] = (target, name)
        return target

    def _lowers(self, place: OpenVolume, row: Placed) -> list[Path]:
        """The directories below a layer, top first."""
        segments: list[Segment] = []
        if row.layer.parent is not None:
            place.keeper.want(self._chains.stack(row.layer.parent))
            segments = self._chains.visible(row.layer.parent)
            while len(segments) > MOST_LOWERS and place.keeper.advance(MOST_LOWERS):
                segments = self._chains.visible(row.layer.parent)
        lowers = [self._open.segments.directory(segment) for segment in reversed(segments)]
        mask = row.place.rpartition("-")[2] if row.masked else place.mask
        if mask:
            lowers.append(place.shelf.root / "masks" / mask)
        return [*lowers, place.row.base]

    def unmount(self, key: LayerKey) -> None:
        for place in self._open.all():
            with place.lock:
                place.unmount(key)

    def upper(self, key: LayerKey) -> Path:
        row = self._register.get(key)
        place = self._open.get(row.layer.volume)
        with place.lock:
            _check_writable(row, place)
            return place.shelf.layer(row.place)

    def commit(self, key: LayerKey, name: LayerName) -> Layer:
        _check_identifier(name)
        row = self._register.get(key)
        place = self._open.get(row.layer.volume)
        with place.lock:
            _check_writable(row, place)
            if self._register.exists(name):
                raise LayerExistsError(name)
            reached(SandboxPoint.BEFORE_SEAL)
            manifest = self._scan(place.shelf.layer(row.place))
            if self._is_empty(row, place, manifest):
                layer = self._register.seal(row, name, Manifest().digest, True, Usage(0, 0))
                place.delete(place.shelf.layer(row.place))
                return layer
            place.shelf.write_manifest(row.place, manifest)
            reached(SandboxPoint.MANIFEST_WRITTEN)
            place.shelf.sync(key)
            reached(SandboxPoint.LAYER_SYNCED)
            usage = place.shelf.usage(row.place)
            self._check_room(place, usage)
            layer = self._register.seal(row, name, manifest.digest, False, usage)
            reached(SandboxPoint.AFTER_SEAL)
            place.keeper.want(self._chains.add(replace(row, layer=layer)) or ())
            place.keeper.advance(_BUILD_AT_LEAST + _BUILD_RATE * len(manifest))
            return layer

    def _is_empty(self, row: Placed, place: OpenVolume, manifest: Manifest) -> bool:
        """Whether nothing differs from below: directories that were merely passed through do not count."""
        if not len(manifest):
            return True
        if len(manifest) > _MOST_PASSED or any(e.kind is not EntryKind.DIRECTORY or e.opaque for e in manifest):
            return False
        merged = self.merged_manifest(row.layer.parent)
        with BaseTree(place.row.base, place.row.hide) as base:
            return all(_is_same(entry, merged, base) for entry in manifest)

    def _scan(self, upper: Path) -> Manifest:
        with opened(upper) as fd:
            opaque: list[bytes] = []
            if os.geteuid() != 0:
                # Only root sees the mark; without directories there is none.
                with os.scandir(fd) as names:
                    has_directories = any(entry.is_dir(follow_symlinks=False) for entry in names)
                opaque = self._mounter.opaque_directories(upper) if has_directories else []
            return scan(fd, frozenset(opaque), self._limits)

    def _check_room(self, place: OpenVolume, more: Usage) -> None:
        """Where the file system does not bound the volume."""
        if self._volumes.hard:
            return
        held, limit = self.volume_usage(place.row.id)
        if held.bytes + more.bytes > limit.bytes:
            raise TreeRefusedError(".", f"the volume would hold more than {limit.bytes} bytes")
        if held.inodes + more.inodes > limit.inodes:
            raise TreeRefusedError(".", f"the volume would hold more than {limit.inodes} inodes")

    def remove(self, layer: LayerKey | LayerName) -> None:
        """In a volume that is not open the row alone goes; its directory goes when the volume is opened."""
        row = self._register.get(layer)
        places = [place for place in self._open.all() if place.row.id == row.layer.volume]
        with places[0].lock if places else self._lock:
            if self._register.children(layer):
                raise LayerInUseError(layer, "another layer stands on it")
            for place in places:
                place.unmount(layer)
            self._register.remove(layer)
            reached(SandboxPoint.LAYER_FORGOTTEN)
            self._chains.forget(LayerName(layer))
            for place in places:
                if row.layer.kind is LayerKind.COMMITTED:
                    place.keeper.remove(LayerName(layer))
                place.delete(place.shelf.layer(row.place))
                place.shelf.forget(row.place)

    def stat(self, layer: LayerKey | LayerName) -> Layer:
        return self._register.get(layer).layer

    def walk(self, volume: VolumeId | None = None) -> Iterator[Layer]:
        rows = self._register.all() if volume is None else self._register.of_volume(volume)
        return iter([row.layer for row in rows])

    def usage(self, layer: LayerKey | LayerName) -> Usage:
        """Manifests are not counted."""
        row = self._register.get(layer)
        if row.layer.kind is not LayerKind.ACTIVE:
            return row.layer.usage
        return self._open.get(row.layer.volume).shelf.usage(row.place)

    def layer_directory(self, volume: VolumeId, place: str) -> Path:
        """Where a layer of this place is in an open volume."""
        return self._open.get(volume).shelf.layer(place)

    def lower_count(self, name: LayerName) -> int:
        """How many directories a mount over `name` lies on, the mask not counted. Raises LayerNotFoundError."""
        return len(self._chains.visible(name)) + 1

    # -- reading committed layers ----------------------------------------------------------------

    def manifest(self, name: LayerName) -> Manifest:
        return self._chains.manifest(self._chains.committed(name))

    def merged_manifest(self, name: LayerName | None, down_to: LayerName | None = None) -> Manifest:
        if down_to is not None:
            self._chains.committed(down_to)
        if name is None and down_to is not None:
            raise LayerKindError(down_to, "is not below the base")
        if name is None:
            return Manifest()
        return self._chains.merged(name) if down_to is None else self._chains.between(name, down_to)

    def open_file(self, name: LayerName, path: bytes) -> int:
        self._chains.committed(name)
        return self._chains.open_file(name, path)

    # -- care ------------------------------------------------------------------------------------

    def cleanup(self) -> list[str]:
        with self._lock:
            done = unmount_dead(self._root, self.slots, self._mounter)
            reached(SandboxPoint.DEAD_UNMOUNTED)
            for row in self._register.all():
                if row.layer.kind is not LayerKind.COMMITTED and not is_live(self._root, lease_of(row.place)):
                    self._register.remove(row.layer.id)
                    done.append(row.layer.id)
            reached(SandboxPoint.DEAD_LAYERS_FORGOTTEN)
            for place in self._open.all():
                done += self._open.sweep(place)
            done += self._volumes.tidy(lambda volume: volume in self._register.volumes())
            reached(SandboxPoint.TIDIED)
            forget_dead(self._root)
            reached(SandboxPoint.LEASES_FORGOTTEN)
            return done

    def close(self) -> None:
        with self._lock:
            self._open.close_all()
            self._shared.let_go()
            self._register.close()
            if self._own_lease is not None:
                self._own_lease.release()


def _check_identifier(name: str) -> None:
    if not IDENTIFIER.fullmatch(name):
        raise ValueError(f"not a key, name or volume id: {name!r}")


def _check_writable(row: Placed, place: OpenVolume) -> None:
    if row.layer.kind is not LayerKind.ACTIVE:
        raise LayerKindError(row.layer.id, f"is {row.layer.kind}, not active")
    if row.layer.id in place.mounted:
        raise LayerInUseError(row.layer.id, "is mounted")


def _is_same(entry: Entry, merged: Manifest, base: BaseTree) -> bool:
    """Whether a directory of a layer is what lies below it."""
    own = merged.get(entry.path)
    below = own if own is not None or merged.hides(entry.path) else base.lookup(entry.path)
    if below is None or below.kind is not EntryKind.DIRECTORY or below.mode != entry.mode:
        return False
    return entry.xattrs == (below.xattrs if own is not None else base.xattrs(entry.path))
