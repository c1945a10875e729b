"""`CopyingLayerStore`: every layer a whole copy of the merged tree. Slow, simple, and needs no mount.

It is what the clever store is compared with, and what is left where overlayfs cannot be had. A layer's
directory has a name that nothing else knows (its *place*) and keeps it for life, so that committing is
one update of one row. On disk: `copies.db` (rows), `volumes/<id>/lock`, `volumes/<id>/<place>/` with
`tree` (the copy), `before` (its scan when it was made, active layers only) and `manifest`.

What differs from the overlay store: nothing is mounted, so `mount` gives a directory of this store over
which a container must be started; a view is a private copy, and what is written to it is kept nowhere;
the disk limit is soft, counted when a layer is committed; files that were hard links of each other in
the base stay so in the copy. As root, copies belong to the sandbox's uid; otherwise to the caller, and a
sandbox must run under the caller's uid to change them.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import secrets
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sandbox.errors import (
    HostDiskFullError,
    LayerCorruptError,
    LayerExistsError,
    LayerInUseError,
    LayerKindError,
    LayerNotFoundError,
    PathRefusedError,
    SandboxError,
    TreeRefusedError,
)
from sandbox.spec import SANDBOX_UID
from sandbox.workspace.beneath import mounts_below, open_regular, opened
from sandbox.workspace.copies import copy_tree, difference, lay_over
from sandbox.workspace.display import display
from sandbox.workspace.edit import WHOLE_TREE
from sandbox.workspace.layer import IDENTIFIER, DiskLimit, Layer, LayerKey, LayerKind, LayerName, Usage, VolumeId
from sandbox.workspace.manifest import EntryKind, Manifest, merge
from sandbox.workspace.measure import check_bounds, first_fault, usage_of, usage_of_entries
from sandbox.workspace.register import Placed, Register, Volume
from sandbox.workspace.tree import DEFAULT_LIMITS, TreeLimits, rmtree, scan

_COPY_LIMITS: Final = TreeLimits(entries=2_000_000, file_bytes=16 << 30, total_bytes=64 << 30)
"""Bounds of a whole copy: the user's project counts too. What a layer changes has the bounds of a layer."""

_MERGED_KEPT: Final = 8
_libc: Final = ctypes.CDLL(None, use_errno=True)


class CopyingLayerStore:
    """A `LayerStore` by plain copies in the directory `root`; see there for what every method promises.

    limits: bounds of what one layer may change. After `close` the object is not used again.
    """

    def __init__(self, root: Path, limits: TreeLimits = DEFAULT_LIMITS) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = root / "volumes"
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._register = Register(root / "copies.db")
        self._limits = limits
        self._owner = SANDBOX_UID if os.geteuid() == 0 else None
        self._lock = threading.RLock()
        self._locks: dict[VolumeId, int] = {}
        self._asked_for: set[VolumeId] = set()
        self._borrowed: Counter[VolumeId] = Counter()
        self._mounted: set[str] = set()
        self._merged: OrderedDict[LayerName, Manifest] = OrderedDict()

    @property
    def late_mounts(self) -> bool:
        return False

    # -- volumes ---------------------------------------------------------------------------------

    def create_volume(self, volume: VolumeId, base: Path, limit: DiskLimit, hide: Manifest | None = None) -> None:
        _check_identifier(volume)
        base = Path(os.path.realpath(base))
        with opened(base):
            mounted = mounts_below(base)
        if mounted:
            raise TreeRefusedError(display(mounted[0]), "is mounted below the project")
        free = os.statvfs(self._directory)
        if free.f_bavail * free.f_frsize < limit.bytes:
            raise HostDiskFullError("a volume of layers", limit.bytes, free.f_bavail * free.f_frsize)
        with self._lock:
            if volume in self._register.volumes():
                raise LayerExistsError(volume)
            (self._directory / volume).mkdir(mode=0o700, exist_ok=True)
            lock = self._take_shared(volume)
            try:
                self._register.add_volume(Volume(volume, base, limit, hide))
            except LayerExistsError:
                os.close(lock)
                raise
            self._locks[volume] = lock
            self._asked_for.add(volume)

    def open_volume(self, volume: VolumeId) -> None:
        with self._lock:
            self._ensure(volume)
            self._asked_for.add(volume)

    @contextmanager
    def using(self, volume: VolumeId) -> Iterator[None]:
        with self._lock:
            self._ensure(volume)
            self._borrowed[volume] += 1
        try:
            yield
        finally:
            with self._lock:
                if self._borrowed[volume]:  # else everything was closed meanwhile
                    self._borrowed[volume] -= 1
                    self._borrowed += Counter()  # without those at zero
                    self._release_unneeded()

    def _ensure(self, volume: VolumeId) -> None:
        already = set(self._locks)
        try:
            self._open_with_ancestors(volume)
        except SandboxError:
            self._release(set(self._locks) - already)
            raise

    def _open_with_ancestors(self, volume: VolumeId) -> None:
        if volume in self._locks:
            return
        self._register.volume(volume)
        lock = self._take_shared(volume)
        if volume not in self._register.volumes():  # removed while we waited for the lock
            os.close(lock)
            raise LayerNotFoundError(volume)
        self._locks[volume] = lock
        for placed in self._register.of_volume(volume):
            if placed.layer.kind is LayerKind.COMMITTED:
                self._verify(placed)
        for above in self._register.volumes_below(volume):
            self._open_with_ancestors(above)

    def _take_shared(self, volume: VolumeId) -> int:
        lock = os.open(self._directory / volume / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_SH)
        return lock

    def close_volume(self, volume: VolumeId) -> None:
        with self._lock:
            self._asked_for.discard(volume)
            self._release_unneeded()

    def _release_unneeded(self) -> None:
        needed = self._register.volumes_needed([*self._asked_for, *self._borrowed])
        self._release(set(self._locks) - needed)

    def _release(self, volumes: Iterable[VolumeId]) -> None:
        for volume in volumes:
            os.close(self._locks.pop(volume))

    def remove_volume(self, volume: VolumeId) -> None:
        with self._lock:
            self._register.volume(volume)
            if volume in self._locks:
                raise LayerInUseError(volume, "is open")
            with self._alone(volume) as alone:
                if not alone:
                    raise LayerInUseError(volume, "another process has it open")
                self._register.remove_volume(volume)
                self._delete(self._directory, volume)

    def volumes(self) -> list[VolumeId]:
        return self._register.volumes()

    def disk_bytes(self, volume: VolumeId) -> int:
        self._register.volume(volume)
        with opened(self._directory / volume) as fd:
            return usage_of(fd, _COPY_LIMITS).bytes

    def mask(self, volume: VolumeId) -> Manifest | None:
        return self._register.volume(volume).hide

    def volume_usage(self, volume: VolumeId) -> tuple[Usage, DiskLimit]:
        """What committed layers changed: an active layer is counted when it is committed."""
        limit = self._register.volume(volume).limit
        held = [placed.layer.usage for placed in self._register.of_volume(volume)]
        return Usage(sum(usage.bytes for usage in held), sum(usage.inodes for usage in held)), limit

    # -- layers ----------------------------------------------------------------------------------

    def prepare(self, key: LayerKey, parent: LayerName | None, volume: VolumeId, hide: Manifest | None = None) -> Layer:
        return self._make(key, LayerKind.ACTIVE, parent, volume, hide)

    def view(self, key: LayerKey, parent: LayerName | None, volume: VolumeId) -> Layer:
        return self._make(key, LayerKind.VIEW, parent, volume, None)

    def _make(
        self, key: LayerKey, kind: LayerKind, parent: LayerName | None, volume: VolumeId, hide: Manifest | None
    ) -> Layer:
        _check_identifier(key)
        with self._lock:
            if volume not in self._locks:
                raise LayerNotFoundError(volume)
            if self._register.exists(key):
                raise LayerExistsError(key)
            below = None if parent is None else self._parent(parent, volume)
            depth = 1 if below is None else below.layer.depth + 1
            placed = Placed(Layer(key, kind, volume, parent, depth), secrets.token_hex(8), hide is not None)
            place = self._place(placed)
            place.mkdir(mode=0o700)
            try:
                self._fill(place, below, self._register.volume(volume), hide)
                self._register.add(placed)
            except BaseException:
                self._delete(place.parent, placed.place)
                raise
            return placed.layer

    def _parent(self, name: LayerName, volume: VolumeId) -> Placed:
        below = self._register.get(name)
        if below.layer.kind is not LayerKind.COMMITTED:
            raise LayerKindError(name, f"is {below.layer.kind}, only a committed layer can be a parent")
        if below.layer.volume not in self._locks:
            raise LayerNotFoundError(name)
        if self._register.volume(below.layer.volume).base != self._register.volume(volume).base:
            raise LayerKindError(name, "stands on another base")
        return below

    def _fill(self, place: Path, below: Placed | None, volume: Volume, hide: Manifest | None) -> None:
        """Copy the parent's tree; where another mask is wanted than it was made with, build it anew."""
        (place / WHOLE_TREE).mkdir(mode=0o700)
        with opened(place / WHOLE_TREE) as tree:
            same_mask = (
                below is not None
                and hide is None
                and not below.masked
                and self._register.volume(below.layer.volume).hide == volume.hide
            )
            if below is not None and same_mask:
                with opened(self._place(below) / WHOLE_TREE) as source:
                    copy_tree(source, tree, self._owner, limits=_COPY_LIMITS)
            else:
                mask = hide or volume.hide or Manifest()
                with opened(volume.base) as source:
                    copy_tree(source, tree, self._owner, lambda path: not mask.hides(path), _COPY_LIMITS)
                if below is not None:
                    merged = self.merged_manifest(LayerName(below.layer.id))
                    with opened(self._place(below) / WHOLE_TREE) as source:
                        lay_over(tree, merged, source, self._owner, _COPY_LIMITS)
            _write(place / "before", scan(tree, limits=_COPY_LIMITS).to_bytes())

    def mount(self, key: LayerKey, target: Path) -> Path:
        """`target` is not used: see `late_mounts`."""
        with self._lock:
            placed = self._register.get(key)
            if placed.layer.kind is LayerKind.COMMITTED:
                raise LayerKindError(key, "is committed; make a view of it")
            if key in self._mounted:
                raise LayerInUseError(key, "is mounted already")
            self._mounted.add(key)
            return self._place(placed) / WHOLE_TREE

    def unmount(self, key: LayerKey) -> None:
        with self._lock:
            self._mounted.discard(key)

    def upper(self, key: LayerKey) -> Path:
        return self._place(self._unmounted(key)) / WHOLE_TREE

    def _unmounted(self, key: LayerKey) -> Placed:
        placed = self._register.get(key)
        if placed.layer.kind is not LayerKind.ACTIVE:
            raise LayerKindError(key, f"is {placed.layer.kind}, not active")
        if key in self._mounted:
            raise LayerInUseError(key, "is mounted")
        return placed

    def commit(self, key: LayerKey, name: LayerName) -> Layer:
        _check_identifier(name)
        with self._lock:
            placed = self._unmounted(key)
            if self._register.exists(name):
                raise LayerExistsError(name)
            place = self._place(placed)
            with opened(place / WHOLE_TREE) as tree:
                manifest = self._changed(tree, place)
                usage = usage_of_entries(tree, manifest)
                self._check_room(placed.layer.volume, usage)
                _write(place / "manifest", manifest.to_bytes())
                if _libc.syncfs(tree) != 0:
                    code = ctypes.get_errno()
                    raise OSError(code, os.strerror(code), str(place))
            layer = self._register.seal(placed, name, manifest.digest, not len(manifest), usage)
            (place / "before").unlink()
            return layer

    def _changed(self, tree: int, place: Path) -> Manifest:
        after = scan(tree, limits=_COPY_LIMITS)
        for entry in after:
            if entry.kind in (EntryKind.WHITEOUT, EntryKind.CHARDEV, EntryKind.BLOCKDEV):
                raise TreeRefusedError(display(entry.path), "is a device")
        manifest = difference(Manifest.from_bytes((place / "before").read_bytes()), after)
        check_bounds(manifest, self._limits)
        return manifest

    def _check_room(self, volume: VolumeId, more: Usage) -> None:
        held, limit = self.volume_usage(volume)
        if held.bytes + more.bytes > limit.bytes:
            raise TreeRefusedError(".", f"the volume would hold more than {limit.bytes} bytes")
        if held.inodes + more.inodes > limit.inodes:
            raise TreeRefusedError(".", f"the volume would hold more than {limit.inodes} inodes")

    def remove(self, layer: LayerKey | LayerName) -> None:
        with self._lock:
            placed = self._register.get(layer)
            if self._register.children(layer):
                raise LayerInUseError(layer, "another layer stands on it")
            self._mounted.discard(layer)
            self._register.remove(layer)
            self._delete(self._place(placed).parent, placed.place)

    def stat(self, layer: LayerKey | LayerName) -> Layer:
        return self._register.get(layer).layer

    def walk(self, volume: VolumeId | None = None) -> Iterator[Layer]:
        rows = self._register.all() if volume is None else self._register.of_volume(volume)
        return iter([placed.layer for placed in rows])

    def usage(self, layer: LayerKey | LayerName) -> Usage:
        """What it changed, not what its copy costs; zero until it is committed."""
        return self._register.get(layer).layer.usage

    # -- reading committed layers ----------------------------------------------------------------

    def manifest(self, name: LayerName) -> Manifest:
        return self._manifest_of(self._committed(name))

    def _committed(self, name: LayerName) -> Placed:
        placed = self._register.get(name)
        if placed.layer.kind is not LayerKind.COMMITTED:
            raise LayerNotFoundError(name)
        return placed

    def _manifest_of(self, placed: Placed) -> Manifest:
        try:
            data = (self._place(placed) / "manifest").read_bytes()
        except OSError as error:
            raise LayerCorruptError(placed.layer.id, f"its manifest cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != placed.layer.digest:
            raise LayerCorruptError(placed.layer.id, "its manifest is not the one that was committed")
        return Manifest.from_bytes(data)

    def merged_manifest(self, name: LayerName | None, down_to: LayerName | None = None) -> Manifest:
        if down_to is not None:
            self._committed(down_to)
        chain = []
        current = name
        while current is not None and current != down_to:
            placed = self._committed(current)
            chain.append(self._manifest_of(placed))
            current = placed.layer.parent
        if current != down_to:
            raise LayerKindError(str(down_to), f"is not below {name}")
        return merge(reversed(chain))

    def open_file(self, name: LayerName, path: bytes) -> int:
        placed = self._committed(name)
        entry = self._merged_of(name).get(path)
        if entry is None or entry.kind is not EntryKind.FILE:
            raise PathRefusedError(display(path), "no layer has a regular file there")
        with opened(self._place(placed) / WHOLE_TREE) as tree:
            return open_regular(tree, path)

    def _merged_of(self, name: LayerName) -> Manifest:
        with self._lock:
            if name not in self._merged:
                self._merged[name] = self.merged_manifest(name)
                if len(self._merged) > _MERGED_KEPT:
                    self._merged.popitem(last=False)
            return self._merged[name]

    # -- care ------------------------------------------------------------------------------------

    def cleanup(self) -> list[str]:
        removed = []
        with self._lock:
            known = set(self._register.volumes())
            for volume in sorted(VolumeId(entry.name) for entry in os.scandir(self._directory)):
                with self._alone(volume) as alone:
                    if alone and volume not in known:
                        self._delete(self._directory, volume)
                        removed.append(f"volumes/{volume}")
                    elif alone:
                        removed += self._remove_unnamed(volume)
        return removed

    def _remove_unnamed(self, volume: VolumeId) -> list[str]:
        named = {placed.place for placed in self._register.of_volume(volume)} | {"lock"}
        unnamed = sorted(set(os.listdir(self._directory / volume)) - named)
        for place in unnamed:
            self._delete(self._directory / volume, place)
        return [f"volumes/{volume}/{place}" for place in unnamed]

    def close(self) -> None:
        with self._lock:
            self._asked_for.clear()
            self._borrowed.clear()
            self._release(list(self._locks))
            self._register.close()

    @contextmanager
    def _alone(self, volume: VolumeId) -> Iterator[bool]:
        """Whether no other process has the volume open; while the block runs none can open it."""
        own = self._locks.get(volume)
        lock = own
        if lock is None:
            lock = os.open(self._directory / volume / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            alone = False
        try:
            yield alone
        finally:
            if own is None:
                os.close(lock)
            else:
                fcntl.flock(own, fcntl.LOCK_SH)

    def _place(self, placed: Placed) -> Path:
        return self._directory / placed.layer.volume / placed.place

    def _delete(self, directory: Path, name: str) -> None:
        with opened(directory) as fd:
            rmtree(fd, os.fsencode(name))

    def _verify(self, placed: Placed) -> None:
        try:
            self._compare(placed)
        except (LayerCorruptError, FileNotFoundError):
            if self._register.exists(placed.layer.id):  # else another process has just removed it
                raise

    def _compare(self, placed: Placed) -> None:
        manifest = self._manifest_of(placed)
        try:
            with opened(self._place(placed) / WHOLE_TREE) as tree:
                fault = first_fault(tree, manifest, whole_copy=True)
        except TreeRefusedError as error:
            raise LayerCorruptError(placed.layer.id, str(error)) from error
        if fault:
            raise LayerCorruptError(placed.layer.id, fault)


def _check_identifier(name: str) -> None:
    if not IDENTIFIER.fullmatch(name):
        raise ValueError(f"not a key, name or volume id: {name!r}")


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
