"""The smallest layer store that a container can be run over: a layer is a directory, mounting it is a bind.

Only what a sandbox provider calls. A volume is a tmpfs, so its limits of bytes and inodes are the kernel's. Needs
root. `late=False` plays a store whose layers must be mounted before their container starts.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
from pathlib import Path

from sandbox.errors import LayerNotFoundError, MountError
from sandbox.spec import SANDBOX_UID
from sandbox.workspace.layer import DiskLimit, Layer, LayerKey, LayerKind, Usage, VolumeId

_LIBC = ctypes.CDLL(None, use_errno=True)
_MS_BIND = 4096
_MNT_DETACH = 2

VOLUME = VolumeId("run-1")


class BindStore:
    """`root` is an empty directory; `close` unmounts everything below it."""

    def __init__(self, root: Path, *, late: bool = True, limit: DiskLimit | None = None) -> None:
        self.late_mounts = late
        self.limit = limit or DiskLimit(bytes=64 << 20, inodes=4096)
        self.slots = root / "mnt" / "slots"
        self._mnt = root / "mnt"
        self._volume = root / "volume"
        self._kinds: dict[str, LayerKind] = {}
        self._mounted: dict[LayerKey, Path] = {}
        self._numbers = itertools.count(1)
        self.slots.mkdir(parents=True)
        self._volume.mkdir()
        _run("mount", "--bind", str(self._mnt), str(self._mnt))
        _run("mount", "--make-private", str(self._mnt))
        _run("mount", "--make-shared", str(self._mnt))
        options = f"size={self.limit.bytes},nr_inodes={self.limit.inodes},mode=755"
        _run("mount", "-t", "tmpfs", "-o", options, "sandstone-test", str(self._volume))

    def new_layer(self, kind: LayerKind = LayerKind.ACTIVE) -> LayerKey:
        """An empty layer that the sandbox's user may write."""
        key = LayerKey(f"layer-{next(self._numbers)}")
        directory = self.directory(key)
        directory.mkdir()
        os.chown(directory, SANDBOX_UID, SANDBOX_UID)
        self._kinds[key] = kind
        return key

    def directory(self, key: LayerKey) -> Path:
        """Where the layer's files are, mounted or not."""
        return self._volume / key

    def content(self, key: LayerKey, path: str) -> bytes | None:
        """What a layer holds at `path`."""
        file = self.directory(key) / path
        return file.read_bytes() if file.exists() else None

    def stat(self, layer: LayerKey) -> Layer:
        if layer not in self._kinds:
            raise LayerNotFoundError(layer)
        return Layer(layer, self._kinds[layer], VOLUME, None, 1)

    def mount(self, key: LayerKey, target: Path) -> Path:
        self.stat(key)
        if not self.late_mounts:
            return self.directory(key)
        if _LIBC.mount(os.fsencode(self.directory(key)), os.fsencode(target), None, _MS_BIND, None):
            raise MountError(str(target), os.strerror(ctypes.get_errno()), ctypes.get_errno())
        self._mounted[key] = target
        return target

    def unmount(self, key: LayerKey) -> None:
        target = self._mounted.get(key)
        if target is None:
            return
        if _LIBC.umount2(os.fsencode(target), 0):
            raise MountError(str(target), os.strerror(ctypes.get_errno()), ctypes.get_errno())
        del self._mounted[key]

    def volume_usage(self, volume: VolumeId) -> tuple[Usage, DiskLimit]:
        del volume
        status = os.statvfs(self._volume)
        used = (status.f_blocks - status.f_bfree) * status.f_frsize
        return Usage(used, status.f_files - status.f_ffree), DiskLimit(
            status.f_blocks * status.f_frsize, status.f_files
        )

    def mounts(self) -> list[str]:
        """Mount points below the slots, as the kernel sees them."""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return [line.split(" ")[4] for line in lines if line.split(" ")[4].startswith(str(self.slots) + "/")]

    def close(self) -> None:
        for target in (*self.mounts(), self._volume, self._mnt):
            _LIBC.umount2(os.fsencode(target), _MNT_DETACH)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True)
