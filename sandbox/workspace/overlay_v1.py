"""`OverlayLayerStore`: layers as upper directories of overlayfs, in volumes that are ext4 images.

On disk, below the store's root: `volumes/<id>.img` and `.lock`; `mnt/` (a shared mount of itself) with
`volumes/<id>` (the mounted images) and `slots/` (where containers look). In a volume: `l/<place>/` with `upper`,
`manifest` (committed) and `work` (active); `s/<level>-<place>/`, merged segments; `m/<digest>/`, masks; `empty/`.
A layer's place is a name that nothing else knows and that it keeps for life, so that committing is one update
of one row: the row is the commit point.

What the base's owner owns on disk is seen by sandboxes as theirs, and the reverse, by idmapped mounts of every
layer: files keep the user's uid on disk, and the sandbox runs under a uid of its own.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from sandbox.errors import (
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
from sandbox.workspace.changes import BaseTree
from sandbox.workspace.display import display
from sandbox.workspace.edit import editing
from sandbox.workspace.layer import IDENTIFIER, DiskLimit, Layer, LayerKey, LayerKind, LayerName, Usage, VolumeId
from sandbox.workspace.leases import forget_dead, is_live
from sandbox.workspace.manifest import EntryKind, Manifest, merge
from sandbox.workspace.measure import first_fault, usage_of
from sandbox.workspace.mounting import Mounter
from sandbox.workspace.register import Placed, Register, Volume
from sandbox.workspace.segments_v1 import Part, Segment, Stack, build, grown
from sandbox.workspace.tree import DEFAULT_LIMITS, TreeLimits, rmtree, scan
from sandbox.workspace.volumes_v1 import ImageVolumes

_MANIFESTS_KEPT: Final = 64
_STACKS_KEPT: Final = 4096
MAX_LOWERS: Final = 400
_libc: Final = ctypes.CDLL(None, use_errno=True)


class OverlayLayerStore:
    """A `LayerStore` in the directory `root`; see there for what every method promises.

    register: the rows. mounter: who may mount. limits: bounds of one layer. After `close` it is not used again.
    """

    def __init__(
        self, root: Path, register: Register, mounter: Mounter, limits: TreeLimits = DEFAULT_LIMITS
    ) -> None:
        self._root = root
        self._register = register
        self._mounter = mounter
        self._limits = limits
        self._lock = threading.RLock()
        self._shared = -1
        self._closed = False
        self._volumes = ImageVolumes(root, root / "mnt" / "volumes", mounter)
        self._slots = root / "mnt" / "slots"
        self._slots.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._asked_for: set[VolumeId] = set()
        self._mounted: dict[str, Path] = {}
        self._owners: dict[VolumeId, tuple[int, int]] = {}
        self._stacks: OrderedDict[LayerName, Stack] = OrderedDict()
        self._manifests: OrderedDict[str, Manifest] = OrderedDict()

    @property
    def late_mounts(self) -> bool:
        return True

    @property
    def slots(self) -> Path:
        """Where containers' slots are made."""
        return self._slots

    def share(self) -> None:
        """Make `mnt` a shared mount, once, before anything is mounted below it or bound from it."""
        with self._lock:
            if self._shared < 0 and not self._closed:
                self._shared = _share(self._root, self._mounter)

    # -- volumes ---------------------------------------------------------------------------------

    def create_volume(
        self, volume: VolumeId, base: Path, limit: DiskLimit, hide: Manifest | None = None
    ) -> None:
        _check_identifier(volume)
        self.share()
        base = Path(os.path.realpath(base))
        with opened(base) as fd:
            status = os.fstat(fd)
        mounted = mounts_below(base)
        if mounted:
            raise TreeRefusedError(display(mounted[0]), "is mounted below the project")
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else (os.getuid(), os.getgid())
        with self._lock:
            if volume in self._register.volumes():
                raise LayerExistsError(volume)
            self._volumes.create(volume, limit, owner)
            try:
                for name in ("l", "s", "m", "empty"):
                    (self._volumes.path(volume) / name).mkdir(mode=0o755)
                self._register.add_volume(Volume(volume, base, limit, hide))
            except BaseException:
                self._volumes.close(volume)
                self._volumes.remove(volume)
                raise
            self._owners[volume] = owner
            self._asked_for.add(volume)

    def open_volume(self, volume: VolumeId) -> None:
        self._register.volume(volume)
        self.share()
        with self._lock:
            already = {known for known in self._register.volumes() if self._volumes.is_open(known)}
            try:
                self._open_with_ancestors(volume)
            except SandboxError:
                for opened_now in self._register.volumes():
                    if opened_now not in already:
                        self._volumes.close(opened_now)
                raise
            self._asked_for.add(volume)

    def _open_with_ancestors(self, volume: VolumeId) -> None:
        if self._volumes.is_open(volume):
            return
        row = self._register.volume(volume)
        try:
            self._volumes.open(volume, row.limit)
        except FileNotFoundError as error:
            raise LayerCorruptError(volume, "its image is gone") from error
        self._owners[volume] = _owner_of(self._volumes.path(volume))
        for placed in self._register.of_volume(volume):
            if placed.layer.kind is LayerKind.COMMITTED:
                self._verify(placed)
        for below in self._volumes_under(volume):
            self._open_with_ancestors(below)

    def _volumes_under(self, volume: VolumeId) -> set[VolumeId]:
        """Other volumes that layers of this one stand on directly."""
        parents = {placed.layer.parent for placed in self._register.of_volume(volume)} - {None}
        return {self._register.get(str(name)).layer.volume for name in parents} - {volume}

    def _verify(self, placed: Placed) -> None:
        manifest = self._manifest_of(placed)
        try:
            with opened(self._place(placed) / "upper") as upper:
                fault = first_fault(upper, manifest)
        except TreeRefusedError as error:
            raise LayerCorruptError(placed.layer.id, str(error)) from error
        if fault:
            raise LayerCorruptError(placed.layer.id, fault)

    def close_volume(self, volume: VolumeId) -> None:
        with self._lock:
            self._asked_for.discard(volume)
            needed: set[VolumeId] = set()
            waiting = list(self._asked_for)
            while waiting:
                using = waiting.pop()
                if using not in needed:
                    needed.add(using)
                    waiting += self._volumes_under(using)
            for candidate in self._register.volumes():
                if candidate not in needed:
                    self._volumes.close(candidate)

    def remove_volume(self, volume: VolumeId) -> None:
        with self._lock:
            self._register.volume(volume)
            if self._volumes.is_open(volume):
                raise LayerInUseError(volume, "is open")
            for placed in self._register.of_volume(volume):
                if any(child.layer.volume != volume for child in self._register.children(placed.layer.id)):
                    raise LayerInUseError(placed.layer.id, "a layer in another volume stands on it")
            if not self._volumes.remove(volume):
                raise LayerInUseError(volume, "another process has it open")
            self._register.remove_volume(volume)

    def volumes(self) -> list[VolumeId]:
        return self._register.volumes()

    def disk_bytes(self, volume: VolumeId) -> int:
        self._register.volume(volume)
        return self._volumes.disk_bytes(volume)

    def mask(self, volume: VolumeId) -> Manifest | None:
        return self._register.volume(volume).hide

    def volume_usage(self, volume: VolumeId) -> tuple[Usage, DiskLimit]:
        self._must_be_open(volume)
        return self._volumes.usage(volume), self._volumes.capacity(volume)

    def _must_be_open(self, volume: VolumeId) -> None:
        if not self._volumes.is_open(volume):
            raise LayerNotFoundError(volume)

    # -- layers ----------------------------------------------------------------------------------

    def prepare(
        self, key: LayerKey, parent: LayerName | None, volume: VolumeId, hide: Manifest | None = None
    ) -> Layer:
        return self._make(key, LayerKind.ACTIVE, parent, volume, hide)

    def view(self, key: LayerKey, parent: LayerName | None, volume: VolumeId) -> Layer:
        return self._make(key, LayerKind.VIEW, parent, volume, None)

    def _make(
        self, key: LayerKey, kind: LayerKind, parent: LayerName | None, volume: VolumeId, hide: Manifest | None
    ) -> Layer:
        _check_identifier(key)
        with self._lock:
            self._must_be_open(volume)
            if self._register.exists(key):
                raise LayerExistsError(key)
            depth = 1 if parent is None else self._parent(parent, volume).layer.depth + 1
            row = self._register.volume(volume)
            own_mask = hide is not None and hide.digest != (row.hide or Manifest()).digest
            place = secrets.token_hex(8)
            if own_mask and hide is not None:
                place += f"-{hide.digest[:16]}"
                self._mask_directory(volume, row.base, hide)
            placed = Placed(Layer(key, kind, volume, parent, depth), place, own_mask)
            directory = self._place(placed)
            if kind is LayerKind.ACTIVE:
                self._make_upper(directory, row.base, self._owners[volume])
            try:
                self._register.add(placed)
            except BaseException:
                self._delete(directory.parent, placed.place)
                raise
            return placed.layer

    def _parent(self, name: LayerName, volume: VolumeId) -> Placed:
        below = self._register.get(name)
        if below.layer.kind is not LayerKind.COMMITTED:
            raise LayerKindError(name, f"is {below.layer.kind}, only a committed layer can be a parent")
        self._must_be_open(below.layer.volume)
        if below.layer.volume != volume and (
            self._register.volume(below.layer.volume).base != self._register.volume(volume).base
        ):
            raise LayerKindError(name, "stands on another base")
        return below

    def _make_upper(self, directory: Path, base: Path, owner: tuple[int, int]) -> None:
        """Both directories of one overlay; the upper one has the base's own attributes, which shine through."""
        directory.mkdir(mode=0o755)
        for name in ("upper", "work"):
            (directory / name).mkdir(mode=0o700)
        status = base.stat()
        upper = directory / "upper"
        upper.chmod(status.st_mode & 0o777)
        if os.geteuid() == 0:
            os.chown(upper, *owner)
        os.utime(upper, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _mask_directory(self, volume: VolumeId, base: Path, hide: Manifest) -> Path:
        """A directory of whiteouts with the base's directories around them; made once."""
        directory = self._volumes.path(volume) / "m" / hide.digest[:16]
        if directory.exists():
            return directory
        making = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}.making")
        making.mkdir(mode=0o755)
        shutil.copystat(base, making)
        owner = self._owners[volume]
        if os.geteuid() == 0:
            os.chown(making, *owner)
        with BaseTree(base) as below, editing(making, below, owner) as edit:
            for entry in hide:
                if entry.kind is EntryKind.WHITEOUT:
                    edit.hide(entry.path)
        shutil.copystat(base, making)
        making.rename(directory)
        return directory

    def mount(self, key: LayerKey, target: Path) -> Path:
        with self._lock:
            placed = self._register.get(key)
            if placed.layer.kind is LayerKind.COMMITTED:
                raise LayerKindError(key, "is committed; make a view of it")
            if key in self._mounted:
                raise LayerInUseError(key, "is mounted already")
            volume = placed.layer.volume
            self._must_be_open(volume)
            lowers = self._lowers(placed)
            directory = self._place(placed)
            active = placed.layer.kind is LayerKind.ACTIVE
            if not active:
                # The kernel wants two layers when none of them is writable.
                lowers.insert(0, self._volumes.path(volume) / "empty")
            self._mounter.mount_overlay(
                lowers,
                directory / "upper" if active else None,
                directory / "work" if active else None,
                target,
                (*self._owners[volume], SANDBOX_UID),
            )
            self._mounted[key] = target
            return target

    def _lowers(self, placed: Placed) -> list[Path]:
        """What lies below an active layer or view, top first."""
        row = self._register.volume(placed.layer.volume)
        parts = [] if placed.layer.parent is None else [part.upper for part in self._parts(placed.layer.parent)]
        lowers = parts[::-1]
        if len(lowers) > MAX_LOWERS:
            raise LayerKindError(placed.layer.id, f"stands on {len(lowers)} layers that could not be merged")
        if placed.masked:
            lowers.append(self._volumes.path(placed.layer.volume) / "m" / placed.place.rpartition("-")[2])
        elif row.hide is not None and len(row.hide):
            lowers.append(self._mask_directory(placed.layer.volume, row.base, row.hide))
        return [*lowers, row.base]

    def unmount(self, key: LayerKey) -> None:
        with self._lock:
            target = self._mounted.get(key)
            if target is not None:
                self._mounter.unmount(target)
                del self._mounted[key]

    def upper(self, key: LayerKey) -> Path:
        return self._place(self._unmounted(key)) / "upper"

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
        # No other call touches an active layer's directory, so the slow part needs no lock.
        directory = self._place(placed)
        opaque = [] if os.geteuid() == 0 else self._mounter.opaque_directories(directory / "upper")
        with opened(directory / "upper") as upper:
            manifest = scan(upper, frozenset(opaque), self._limits)
            empty = self._is_empty(placed, manifest)
            usage = usage_of(upper, self._limits)
            if not empty:
                _write(directory / "manifest", manifest.to_bytes())
                _sync(upper, directory)
            else:
                (directory / "manifest").write_bytes(Manifest().to_bytes())
                manifest = Manifest()
        with self._lock:
            layer = self._register.seal(placed, name, manifest.digest, empty, usage)
            self._remember(name, manifest)
        self._delete(directory, "work")
        return layer

    def _is_empty(self, placed: Placed, manifest: Manifest) -> bool:
        """Whether nothing differs from below: directories that were merely passed through do not count."""
        if not len(manifest):
            return True
        if len(manifest) > 1000 or any(e.kind is not EntryKind.DIRECTORY or e.opaque for e in manifest):
            return False
        row = self._register.volume(placed.layer.volume)
        merged = self.merged_manifest(placed.layer.parent)
        with BaseTree(row.base, row.hide) as base:
            for entry in manifest:
                own = merged.get(entry.path)
                below = own if own is not None or merged.hides(entry.path) else base.lookup(entry.path)
                if below is None or below.kind is not EntryKind.DIRECTORY or below.mode != entry.mode:
                    return False
                if entry.xattrs != (below.xattrs if own is not None else base.xattrs(entry.path)):
                    return False
        return True

    def remove(self, layer: LayerKey | LayerName) -> None:
        with self._lock:
            placed = self._register.get(layer)
            if self._register.children(layer):
                raise LayerInUseError(layer, "another layer stands on it")
            if layer in self._mounted:
                self.unmount(LayerKey(layer))
            self._register.remove(layer)
            self._manifests.pop(layer, None)
            self._stacks.pop(LayerName(layer), None)
            if self._volumes.is_open(placed.layer.volume):
                self._delete(self._place(placed).parent, placed.place)
                self._forget_segments(placed)

    def _forget_segments(self, placed: Placed) -> None:
        directory = self._volumes.path(placed.layer.volume) / "s"
        for name in os.listdir(directory):
            if name.partition("-")[2] == placed.place:
                self._delete(directory, name)

    def stat(self, layer: LayerKey | LayerName) -> Layer:
        return self._register.get(layer).layer

    def walk(self, volume: VolumeId | None = None) -> Iterator[Layer]:
        rows = self._register.all() if volume is None else self._register.of_volume(volume)
        return iter([placed.layer for placed in rows])

    def usage(self, layer: LayerKey | LayerName) -> Usage:
        placed = self._register.get(layer)
        if placed.layer.kind is LayerKind.COMMITTED:
            return placed.layer.usage
        if placed.layer.kind is LayerKind.VIEW:
            return Usage(0, 0)
        with opened(self._place(placed) / "upper") as upper:
            return usage_of(upper, self._limits)

    # -- reading committed layers ----------------------------------------------------------------

    def manifest(self, name: LayerName) -> Manifest:
        with self._lock:
            return self._manifest_of(self._committed(name))

    def _committed(self, name: LayerName) -> Placed:
        placed = self._register.get(name)
        if placed.layer.kind is not LayerKind.COMMITTED:
            raise LayerNotFoundError(name)
        return placed

    def _manifest_of(self, placed: Placed) -> Manifest:
        known = self._manifests.get(placed.layer.id)
        if known is not None:
            return known
        try:
            data = (self._place(placed) / "manifest").read_bytes()
        except OSError as error:
            raise LayerCorruptError(placed.layer.id, f"its manifest cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != placed.layer.digest:
            raise LayerCorruptError(placed.layer.id, "its manifest is not the one that was committed")
        return self._remember(placed.layer.id, Manifest.from_bytes(data))

    def _remember(self, key: str, manifest: Manifest) -> Manifest:
        self._manifests[key] = manifest
        if len(self._manifests) > _MANIFESTS_KEPT:
            self._manifests.popitem(last=False)
        return manifest

    def merged_manifest(self, name: LayerName | None, down_to: LayerName | None = None) -> Manifest:
        with self._lock:
            if name is None:
                if down_to is not None:
                    raise LayerKindError(down_to, "is not below the base")
                return Manifest()
            if down_to is None:
                return self._merged(name)
            self._committed(down_to)
            chain = []
            current: LayerName | None = name
            while current is not None and current != down_to:
                placed = self._committed(current)
                chain.append(self._manifest_of(placed))
                current = placed.layer.parent
            if current != down_to:
                raise LayerKindError(down_to, f"is not below {name}")
            return merge(reversed(chain))

    def _merged(self, name: LayerName) -> Manifest:
        """All of the chain as one manifest; built on the parent's where that is still known."""
        key = f"merged {name}"
        if key not in self._manifests:
            placed = self._committed(name)
            below = self._manifests.get(f"merged {placed.layer.parent}")
            if below is not None:
                merged = merge((below, self._manifest_of(placed)))
            else:
                merged = merge(part.manifest for part in self._parts(name))
            self._remember(key, merged)
        return self._manifests[key]

    def open_file(self, name: LayerName, path: bytes) -> int:
        with self._lock:
            entry = self._merged(name).get(path)
            if entry is None or entry.kind is not EntryKind.FILE:
                raise PathRefusedError(display(path), "no layer has a regular file there")
            for part in reversed(self._parts(name)):
                if part.manifest.get(path) is not None:
                    with opened(part.upper) as upper:
                        return open_regular(upper, path)
        raise PathRefusedError(display(path), "no layer has a regular file there")

    def layer_directory(self, volume: VolumeId, place: str) -> Path:
        """Where a layer of this place is in an open volume."""
        return self._volumes.path(volume) / "l" / place

    def committed_upper(self, name: LayerName) -> Path:
        """What committed layer `name` changed, on disk. Only to be read. Raises LayerNotFoundError."""
        return self._place(self._committed(name)) / "upper"

    def lower_count(self, name: LayerName) -> int:
        """How many directories a mount over `name` lies on. Raises LayerNotFoundError."""
        return len(self._parts(name)) + 1

    # -- chains as stacks ------------------------------------------------------------------------

    def _parts(self, name: LayerName) -> list[Part]:
        """The segments of the chain up to `name`, bottom first, each complete on disk."""
        parts: list[Part] = []
        for segment in self._stack(name):
            parts += self._part(segment)
        return parts

    def _stack(self, name: LayerName) -> Stack:
        missing: list[LayerName] = []
        current: LayerName | None = name
        while current is not None and current not in self._stacks:
            missing.append(current)
            current = self._committed(current).layer.parent
        stack: Stack = () if current is None else self._stacks[current]
        for layer in reversed(missing):
            stack = grown(stack, layer)
            self._stacks[layer] = stack
            if len(self._stacks) > _STACKS_KEPT:
                self._stacks.popitem(last=False)
        return stack

    def _part(self, segment: Segment) -> Sequence[Part]:
        """The segment, built if it is not there; its parts when it cannot be built."""
        placed = self._committed(segment.top)
        if segment.level == 0:
            return [Part(self._place(placed) / "upper", self._manifest_of(placed))]
        directory = self._volumes.path(placed.layer.volume) / "s" / f"{segment.level}-{placed.place}"
        key = f"segment {segment.level} {segment.top}"
        if key in self._manifests:
            return [Part(directory / "upper", self._manifests[key])]
        if (directory / "manifest").exists():
            manifest = Manifest.from_bytes((directory / "manifest").read_bytes())
            return [Part(directory / "upper", self._remember(key, manifest))]
        below = [part for child in self._children(segment) for part in self._part(child)]
        owner = self._owners[placed.layer.volume] if os.geteuid() == 0 else None
        try:
            manifest = build(directory, below, owner, self._mounter)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            return below
        return [Part(directory / "upper", self._remember(key, manifest))]

    def _children(self, segment: Segment) -> list[Segment]:
        """The 16 segments one level lower that this one merges, bottom first."""
        parent = self._committed(segment.top).layer.parent
        stack = list(self._stack(parent)) if parent is not None else []
        # Adding `top` to its parent's stack is what completed the segment: undo the carries down to its level.
        stack.append(Segment(0, segment.top))
        level = 0
        while level < segment.level - 1:
            merged = stack[-16:]
            del stack[-16:]
            stack.append(Segment(level + 1, merged[-1].top))
            level += 1
        return stack[-16:]

    # -- care ------------------------------------------------------------------------------------

    def cleanup(self) -> list[str]:
        removed = []
        with self._lock:
            removed += self._clean_slots()
            known = set(self._register.volumes())
            for volume in self._volumes.held_by_nobody():
                if volume not in known:
                    if self._volumes.remove(volume):
                        removed.append(f"volumes/{volume}")
                elif self._volumes.settle(volume):
                    removed.append(f"mnt/volumes/{volume}")
            for volume in known:
                if self._volumes.is_open(volume):
                    removed += self._remove_unnamed(volume)
            forget_dead(self._root)
        return removed

    def _clean_slots(self) -> list[str]:
        """Slots of dead leases: unmounted and removed. Their containers are gone or about to be."""
        removed = []
        for slot in sorted(self._slots.iterdir()):
            lease, _, number = slot.name.rpartition("-")
            if not number.isdigit() or is_live(self._root, lease):
                continue
            for _ in range(16):
                if not os.path.ismount(slot):
                    slot.rmdir()
                    removed.append(f"mnt/slots/{slot.name}")
                    break
                self._mounter.unmount(slot)
        return removed

    def _remove_unnamed(self, volume: VolumeId) -> list[str]:
        directory = self._volumes.path(volume) / "l"
        named = {placed.place for placed in self._register.of_volume(volume)}
        unnamed = sorted(set(os.listdir(directory)) - named)
        for place in unnamed:
            self._delete(directory, place)
        return [f"mnt/volumes/{volume}/l/{place}" for place in unnamed]

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for key in tuple(self._mounted):
                self.unmount(LayerKey(key))
            self._asked_for.clear()
            for volume in self._register.volumes():
                self._volumes.close(volume)
            if self._shared >= 0:
                _unshare(self._root, self._shared, self._mounter)
                self._shared = -1
            self._register.close()

    def _place(self, placed: Placed) -> Path:
        return self._volumes.path(placed.layer.volume) / "l" / placed.place

    def _delete(self, directory: Path, name: str) -> None:
        if not os.path.lexists(directory / name):
            return
        if os.geteuid() != 0:
            # overlayfs leaves what belongs to root.
            self._mounter.discard(directory / name)
            return
        with opened(directory) as fd:
            rmtree(fd, os.fsencode(name))


def _share(root: Path, mounter: Mounter) -> int:
    """Make `mnt` a shared mount, and hold the lock that says that it is used."""
    (root / "mnt").mkdir(mode=0o711, parents=True, exist_ok=True)
    lock = os.open(root / "mnt.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_SH)
    try:
        mounter.share(root / "mnt")
    except BaseException:
        os.close(lock)
        raise
    return lock


def _unshare(root: Path, lock: int, mounter: Mounter) -> None:
    """Who lets go last takes the shared mount away."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not any(True for _ in mounts_below(root / "mnt")):
            mounter.unmount(root / "mnt")
    except BlockingIOError:
        pass  # another process uses it
    finally:
        os.close(lock)


def _owner_of(directory: Path) -> tuple[int, int]:
    status = directory.stat()
    return status.st_uid, status.st_gid


def _check_identifier(name: str) -> None:
    if not IDENTIFIER.fullmatch(name):
        raise ValueError(f"not a key, name or volume id: {name!r}")


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)


def _sync(fd: int, directory: Path) -> None:
    if _libc.syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), os.fspath(directory))
