"""The layer store's interface, in containerd's words. The docstrings are the specification; every
implementation passes `tests/conformance/layer_store_suite.py`.

Life of a layer:  prepare(key, parent) -> mount, write, unmount -> commit(key, name) | remove(key).
Crash rule: a row of the index always names a complete layer; a directory that no row names is rubbish
and `cleanup` removes it. The row is the commit point.

All methods block (system calls, disk); async callers use a worker thread. All are safe to call from
several threads. Several processes may have the same store open: a volume is opened by any number of
processes, but only one at a time prepares and commits in it (the caller holds the execution's lock).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sandbox.workspace.layer import DiskLimit, Layer, LayerKey, LayerName, Usage, VolumeId
from sandbox.workspace.manifest import Manifest


class LayerStore(Protocol):
    """Keeps layers over user directories ("bases") and makes them visible as merged trees."""

    @property
    def late_mounts(self) -> bool:
        """True when `mount` works on the slot of a container that already runs."""
        ...

    # -- volumes ---------------------------------------------------------------------------------

    def create_volume(self, volume: VolumeId, base: Path, limit: DiskLimit, hide: Manifest | None = None) -> None:
        """Reserve room for an execution's layers over `base`, and open it.

        `hide` is a manifest of whiteouts that lies directly above the base, so that what it names
        is not seen by any step and is in no difference. The base is never written.

        Raises:
          LayerExistsError: the volume exists. HostDiskFullError: `limit.bytes` cannot be reserved.
          TreeRefusedError: `base` is not a directory, or something is mounted below it.
        """
        ...

    def open_volume(self, volume: VolumeId) -> None:
        """Make an existing volume's layers readable (and its volumes' ancestors). Idempotent.

        Checks every committed layer against its row: manifest digest, and kind, mode, size and mtime of each entry.

        Raises:
          LayerNotFoundError: no such volume. LayerCorruptError: a layer is not what was committed.
        """
        ...

    def close_volume(self, volume: VolumeId) -> None:
        """Undo `open_volume` in this process; gives back reserved but unused disk space. Idempotent."""
        ...

    def using(self, volume: VolumeId) -> AbstractContextManager[None]:
        """Have an existing volume open for the block, whoever opens and closes it meanwhile.

        For reading beside a run of this process, which closes the volume when it has ended.
        Raises as `open_volume` when the block is entered.
        """
        ...

    def remove_volume(self, volume: VolumeId) -> None:
        """Delete the volume and all its layers.

        Raises:
          LayerNotFoundError: no such volume.
          LayerInUseError: a layer in another volume stands on one of its layers, or a process (this one
            too) has it open.
        """
        ...

    def volumes(self) -> list[VolumeId]:
        """All volumes that have a row."""
        ...

    def disk_bytes(self, volume: VolumeId) -> int:
        """What the volume costs on the host's disk now, open or not. Raises LayerNotFoundError."""
        ...

    def mask(self, volume: VolumeId) -> Manifest | None:
        """The `hide` it was created with. Raises LayerNotFoundError."""
        ...

    def volume_usage(self, volume: VolumeId) -> tuple[Usage, DiskLimit]:
        """What the open volume holds now, and its limit. Cheap (one statvfs) where the limit is hard."""
        ...

    # -- layers ----------------------------------------------------------------------------------

    def prepare(self, key: LayerKey, parent: LayerName | None, volume: VolumeId, hide: Manifest | None = None) -> Layer:
        """Create the empty active layer `key` over `parent` (None: over the base) in the open `volume`.

        `parent` may be in another open volume over the same base (a fork, or a step with a disk limit
        of its own). `hide` replaces the volume's mask for this layer's mount.

        Raises:
          LayerExistsError: `key` is taken. LayerNotFoundError: no such parent or volume.
          LayerKindError: `parent` is not committed.
        """
        ...

    def view(self, key: LayerKey, parent: LayerName | None, volume: VolumeId) -> Layer:
        """Create the view `key`: a read-only merged tree of `parent`. Same errors as `prepare`."""
        ...

    def mount(self, key: LayerKey, target: Path) -> Path:
        """Make the merged tree of an active layer or view visible; returns where.

        With `late_mounts` that is `target`, an existing empty directory (a container's slot); without,
        it is a directory of the store's own that a container must be started over.
        The mount is read back and compared with what was asked. One mount of an active layer at a time.

        Raises:
          LayerNotFoundError, LayerKindError (committed), LayerInUseError (mounted elsewhere), MountError.
        """
        ...

    def unmount(self, key: LayerKey) -> None:
        """Undo `mount`. Idempotent. Raises MountError when the mount is busy (a process still uses it)."""
        ...

    def upper(self, key: LayerKey) -> Path:
        """The directory that holds what active layer `key` changes so far, in the store's on-disk form.

        Not while it is mounted. Write to it only through `sandbox.workspace.edit`, which tells the form by
        the last part of the path: `tree` is a copy of the whole merged tree, anything else an overlayfs upper.

        Raises:
          LayerNotFoundError, LayerKindError: not an active layer. LayerInUseError: it is mounted.
        """
        ...

    def commit(self, key: LayerKey, name: LayerName) -> Layer:
        """Turn the active layer `key` into the committed layer `name`, durably.

        Preconditions: no process can write to the layer any more; it is unmounted.
        Afterwards `key` is gone and `name` may be a parent. Atomic: a crash leaves the active layer or
        the committed one, never both, never neither. Setuid, setgid and sticky bits are left as they
        are and listed in the manifest.

        Raises:
          LayerNotFoundError: no layer has this key. LayerExistsError: `name` is taken.
          LayerKindError: `key` is a view, which cannot be committed. LayerInUseError: it is mounted.
          TreeRefusedError: the tree breaks a bound of `tree.TreeLimits`; the active layer stays.
        """
        ...

    def remove(self, layer: LayerKey | LayerName) -> None:
        """Delete a layer of any kind. Active layers and views are unmounted first.

        Raises:
          LayerNotFoundError. LayerInUseError: another layer stands on this committed layer.
        """
        ...

    def stat(self, layer: LayerKey | LayerName) -> Layer:
        """The row. Raises LayerNotFoundError."""
        ...

    def walk(self, volume: VolumeId | None = None) -> Iterator[Layer]:
        """All rows (of one volume), parents before children."""
        ...

    def usage(self, layer: LayerKey | LayerName) -> Usage:
        """What this layer alone holds. Raises LayerNotFoundError."""
        ...

    # -- reading committed layers ----------------------------------------------------------------

    def manifest(self, name: LayerName) -> Manifest:
        """What committed layer `name` alone changed. Raises LayerNotFoundError, LayerCorruptError."""
        ...

    def merged_manifest(self, name: LayerName | None, down_to: LayerName | None = None) -> Manifest:
        """What the chain above `down_to` (exclusive; None: the base) up to `name` changed, as one manifest.

        Raises LayerNotFoundError; LayerKindError when `down_to` is not below `name`.
        """
        ...

    def open_file(self, name: LayerName, path: bytes) -> int:
        """A read-only descriptor on the regular file `path` as the chain up to `name` (not the base) has it.

        Never follows links, never opens anything but a regular file; the caller closes it.

        Raises:
          LayerNotFoundError. PathRefusedError: the chain has no regular file there.
        """
        ...

    # -- care ------------------------------------------------------------------------------------

    def cleanup(self) -> list[str]:
        """Remove directories, images and mounts that no row names and no live process holds; returns what."""
        ...

    def close(self) -> None:
        """Close every volume this process opened. Idempotent."""
        ...
