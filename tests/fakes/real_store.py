"""The overlay store of the product, with the few things that tests of sandboxes ask of a store besides."""

from __future__ import annotations

import ctypes
import itertools
import os
from pathlib import Path

from sandbox.workspace.layer import DiskLimit, LayerKey, LayerKind, LayerName, VolumeId
from sandbox.workspace.mounts import KernelMounter
from sandbox.workspace.overlay import OverlayLayerStore
from sandbox.workspace.register import Register

VOLUME = VolumeId("run-1")
_LIBC = ctypes.CDLL(None, use_errno=True)


class RealStore(OverlayLayerStore):
    """A store in `root` (on a disk that overlayfs works on) with one volume over an empty base. Needs root."""

    def __init__(self, root: Path, limit: DiskLimit | None = None) -> None:
        self._home = root / "home"
        self._home.mkdir()
        self.register = Register(self._home / "journal.db")
        super().__init__(self._home, self.register, KernelMounter())
        base = root / "base"
        base.mkdir()
        self.create_volume(VOLUME, base, limit or DiskLimit(bytes=64 << 20, inodes=4096))
        self._numbers = itertools.count(1)

    def new_layer(self, kind: LayerKind = LayerKind.ACTIVE) -> LayerKey:
        """An empty layer of this kind."""
        number = next(self._numbers)
        key = LayerKey(f"key-{number}")
        self.prepare(key, None, VOLUME)
        if kind is LayerKind.ACTIVE:
            return key
        self.commit(key, LayerName(f"name-{number}"))
        return LayerKey(f"name-{number}")

    def content(self, key: LayerKey, path: str) -> bytes | None:
        """What an unmounted active layer holds at `path`."""
        file = self.upper(key) / path
        return file.read_bytes() if file.exists() else None

    def mounts(self) -> list[str]:
        """Mount points below the slots, as the kernel sees them."""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return [line.split(" ")[4] for line in lines if line.split(" ")[4].startswith(str(self.slots) + "/")]

    def close(self) -> None:
        super().close()
        self.register.close()
        # The store's shared mount of itself stays for as long as the store does, which ends here.
        _LIBC.umount2(os.fsencode(self._home / "mnt"), 0)
