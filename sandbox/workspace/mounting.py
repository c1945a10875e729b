"""The few operations that need CAP_SYS_ADMIN, as an interface.

As root they are done in-process (`KernelMounter`), for a user of the `docker` group by one long-lived
helper container that runs the same stdlib-only files (`sandbox/workspace/mount_service.py`). Requests carry
only paths of the store and the base, numbers and layer ids: never plan text or bytes from a sandbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Mounter(Protocol):
    """Privileged mount operations. All block; all raise MountError with the kernel's errno."""

    def share(self, directory: Path) -> None:
        """Make `directory` a shared mount point (bind onto itself), so that later mounts below it reach
        containers started over a directory in it. Idempotent; one caller at a time."""
        ...

    def attach_image(self, image: Path, target: Path) -> None:
        """Mount the ext4 image file at `target` through a loop device, nosuid,nodev,noatime. Idempotent.

        One loop device an image, however often it is attached; one caller at a time for an image."""
        ...

    def mount_overlay(
        self,
        lowers: Sequence[Path],
        upper: Path | None,
        work: Path | None,
        target: Path,
        swap_uid: tuple[int, int, int] | None,
    ) -> None:
        """Mount an overlay of `lowers` (top first; read-only when `upper` is None) at `target`.

        swap_uid: (owner uid, owner gid, sandbox id): show what `owner` owns on disk as owned by the sandbox
        id and the reverse, in all layers, by idmapped mounts. None: no mapping. Up to 400 lowers.
        `upper` and `work` are on one mount. A writable overlay is volatile: fsync inside does nothing, unmounting
        writes nothing back; who wants `upper` durable syncs the file system it is on.
        """
        ...

    def bind(self, source: Path, target: Path) -> None:
        """Bind-mount directory `source` at `target` (nosuid, nodev)."""
        ...

    def unmount(self, target: Path) -> None:
        """Unmount what is mounted at `target` (topmost); frees its loop device. No-op when nothing is."""
        ...

    def opaque_directories(self, upper: Path) -> list[bytes]:
        """Paths, relative to `upper`, of directories that overlayfs marked opaque."""
        ...

    def set_opaque(self, upper: Path, directories: Sequence[bytes]) -> None:
        """Mark these directories of `upper` opaque."""
        ...

    def discard(self, directory: Path) -> None:
        """Delete `directory` with all in it, also what belongs to other users. Nothing may be mounted in it."""
        ...

    def trim(self, mounted_image: Path) -> None:
        """Give the unused blocks of the mounted image back to the host (FITRIM)."""
        ...

    def close(self) -> None:
        """End the helper, if there is one. Mounts stay. Idempotent."""
        ...
