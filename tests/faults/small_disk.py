"""A file system of a few megabytes that can be filled to the last block and emptied again."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import disk_directory

KIB = 1024


class SmallDisk:
    """An ext4 mounted at `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._filler = directory / "filler"

    @property
    def free_bytes(self) -> int:
        status = os.statvfs(self.directory)
        return status.f_bavail * status.f_frsize

    def fill(self, leave_bytes: int = 0) -> None:
        """Take all room but so much."""
        fd = os.open(self._filler, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            size = 0
            while self.free_bytes > leave_bytes:
                more = self.free_bytes - leave_bytes
                while more:
                    try:
                        os.posix_fallocate(fd, size, more)
                    except OSError as error:
                        if error.errno != errno.ENOSPC:
                            raise
                        more //= 2
                    else:
                        size += more
                        break
                if not more:
                    break
        finally:
            os.close(fd)

    def make_room(self) -> None:
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(mebibytes: int) -> Iterator[SmallDisk]:
    """As root. Everything on it goes with it; whatever is mounted below must be unmounted."""
    place = Path(tempfile.mkdtemp(prefix="sandstone-small-", dir=disk_directory()))
    image, directory = place / "disk.img", place / "disk"
    directory.mkdir()
    with image.open("wb") as file:
        file.truncate(mebibytes << 20)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", "4096", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, directory], check=True)
        try:
            yield SmallDisk(directory)
        finally:
            subprocess.run(["umount", directory], check=True)
    finally:
        shutil.rmtree(place)
