"""`KernelMounter`: the privileged operations done in this process, which is root."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox.errors import MountError
from sandbox.workspace import privileged


@contextmanager
def _typed(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MountError(os.fspath(target), str(error.strerror or error), error.errno) from error


class KernelMounter:
    """A `Mounter` by system calls; see there for what every method promises."""

    def share(self, directory: Path) -> None:
        with _typed(directory):
            privileged.share(os.fspath(directory))

    def attach_image(self, image: Path, target: Path) -> None:
        with _typed(target):
            privileged.attach_image(os.fspath(image), os.fspath(target))

    def mount_overlay(
        self,
        lowers: Sequence[Path],
        upper: Path | None,
        work: Path | None,
        target: Path,
        swap_uid: tuple[int, int, int] | None,
    ) -> None:
        with _typed(target):
            privileged.mount_overlay(
                [os.fspath(lower) for lower in lowers],
                os.fspath(upper) if upper is not None else None,
                os.fspath(work) if work is not None else None,
                os.fspath(target),
                swap_uid,
            )

    def bind(self, source: Path, target: Path) -> None:
        with _typed(target):
            privileged.bind(os.fspath(source), os.fspath(target))

    def unmount(self, target: Path) -> None:
        with _typed(target):
            privileged.unmount(os.fspath(target))

    def opaque_directories(self, upper: Path) -> list[bytes]:
        with _typed(upper):
            return privileged.opaque_directories(os.fspath(upper))

    def set_opaque(self, upper: Path, directories: Sequence[bytes]) -> None:
        with _typed(upper):
            privileged.set_opaque(os.fspath(upper), directories)

    def trim(self, mounted_image: Path) -> None:
        with _typed(mounted_image):
            privileged.trim(os.fspath(mounted_image))

    def close(self) -> None:
        """Nothing to end: mounts stay."""
