"""How a user of the `docker` group mounts: by a helper container, which is started when something is first mounted.
Until then neither the container's code nor the engine's SDK is loaded: most commands mount nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.docker.helper import HelperContainer
    from sandbox.workspace.mounts import RemoteMounter

StartHelper = Callable[[Sequence[Path]], "HelperContainer"]


class HelperMounter:
    """A `Mounter` for an ordinary user: starts a helper when one is first needed, and a new one for a new base.

    store: the only directory that is not a base. Safe to use from several threads.
    """

    def __init__(self, store: Path, start: StartHelper) -> None:
        self._store = store
        self._start = start
        self._bases: tuple[Path, ...] = ()
        self._helper: HelperContainer | None = None
        self._lock = threading.RLock()

    def share(self, directory: Path) -> None:
        self._mounter().share(directory)

    def attach_image(self, image: Path, target: Path) -> None:
        self._mounter().attach_image(image, target)

    def mount_overlay(
        self,
        lowers: Sequence[Path],
        upper: Path | None,
        work: Path | None,
        target: Path,
        swap_uid: tuple[int, int, int] | None,
    ) -> None:
        outside = [path for path in lowers if self._store not in path.parents]
        self._mounter(outside).mount_overlay(lowers, upper, work, target, swap_uid)

    def bind(self, source: Path, target: Path) -> None:
        self._mounter().bind(source, target)

    def unmount(self, target: Path) -> None:
        self._mounter().unmount(target)

    def opaque_directories(self, upper: Path) -> list[bytes]:
        return self._mounter().opaque_directories(upper)

    def set_opaque(self, upper: Path, directories: Sequence[bytes]) -> None:
        self._mounter().set_opaque(upper, directories)

    def discard(self, directory: Path) -> None:
        self._mounter().discard(directory)

    def trim(self, mounted_image: Path) -> None:
        self._mounter().trim(mounted_image)

    def close(self) -> None:
        with self._lock:
            if self._helper is not None:
                self._helper.close()
                self._helper = None

    def _mounter(self, bases: Sequence[Path] = ()) -> RemoteMounter:
        """The helper's, one that has all of `bases`."""
        with self._lock:
            missing = [base for base in dict.fromkeys(bases) if base not in self._bases]
            if self._helper is None or missing:
                self.close()
                self._bases = (*self._bases, *missing)
                self._helper = self._start(self._bases)
            return self._helper.mounter
