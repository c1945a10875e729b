"""Volumes: ext4 images, allocated in full before they are written, one per execution.

The image is the hard limit in bytes and inodes. While a volume is closed its unused blocks are given back
to the host; opening it for writing reserves them again, so that a write inside never fails for want of
room outside. An image is mounted at most once per host: processes that use it hold a shared lock on
`volumes/<id>.lock`, and only who gets it exclusively unmounts.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from sandbox.errors import HostDiskFullError, MountError, SandboxError
from sandbox.workspace.layer import DiskLimit, Usage, VolumeId
from sandbox.workspace.mounting import Mounter

_JOURNAL_MIB: Final = 4
_MKFS_TIMEOUT_S: Final = 60
_RESERVE_BYTES: Final = 64 << 20
"""Left free on the host's disk for the journal and everything else."""


class FormatError(SandboxError):
    """mkfs.ext4 is missing or failed; `reason` says how."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"a volume cannot be formatted: {reason}")
        self.reason = reason


class ImageVolumes:
    """The images of one store and where they are mounted. Not thread-safe: the store locks."""

    def __init__(self, root: Path, mounted: Path, mounter: Mounter) -> None:
        self._images = root / "volumes"
        self._images.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mounted = mounted
        self._mounted.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._mounter = mounter
        self._locks: dict[VolumeId, int] = {}

    def path(self, volume: VolumeId) -> Path:
        """Where the volume's files are while it is open."""
        return self._mounted / volume

    def is_open(self, volume: VolumeId) -> bool:
        """Whether this process has it open."""
        return volume in self._locks

    def create(self, volume: VolumeId, limit: DiskLimit, owner: tuple[int, int]) -> None:
        """Make, format and mount the image, and hold it.

        Raises:
          HostDiskFullError: no room. FormatError. MountError.
        """
        image = self._image(volume)
        lock = self._lock(volume, fcntl.LOCK_EX)
        try:
            reserve(image, limit.bytes)
            _format(image, limit, owner)
            self._attach(volume)
            fcntl.flock(lock, fcntl.LOCK_SH)
        except BaseException:
            image.unlink(missing_ok=True)
            os.close(lock)
            self._lock_path(volume).unlink(missing_ok=True)
            raise
        self._locks[volume] = lock

    def open(self, volume: VolumeId, limit: DiskLimit) -> None:
        """Mount the image unless it is, and hold it. Reserves what a close gave back.

        Raises:
          FileNotFoundError: there is no image. HostDiskFullError, MountError.
        """
        if volume in self._locks:
            return
        image = self._image(volume)
        if not image.exists():
            raise FileNotFoundError(errno.ENOENT, "no image", os.fspath(image))
        # Exclusive while mounting, so that two processes never attach one image twice.
        lock = self._lock(volume, None)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                reserve(image, limit.bytes)
                self._attach(volume)
            except BlockingIOError:
                fcntl.flock(lock, fcntl.LOCK_SH)
                self._attach(volume)
            fcntl.flock(lock, fcntl.LOCK_SH)
        except BaseException:
            os.close(lock)
            raise
        self._locks[volume] = lock

    def close(self, volume: VolumeId) -> None:
        """Let go of it; who lets go last unmounts it and gives back what it does not use. Idempotent."""
        lock = self._locks.pop(volume, None)
        if lock is None:
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # another process uses it: it stays mounted
        else:
            self._detach(volume)
        finally:
            os.close(lock)

    def remove(self, volume: VolumeId) -> bool:
        """Delete the image; False when another process holds it."""
        lock = self._lock(volume, None)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._unmount(volume)
        self._image(volume).unlink(missing_ok=True)
        self._lock_path(volume).unlink(missing_ok=True)
        os.close(lock)
        return True

    def usage(self, volume: VolumeId) -> Usage:
        """Bytes and inodes in use in the open volume, by its file system."""
        status = os.statvfs(self.path(volume))
        used = (status.f_blocks - status.f_bavail) * status.f_frsize
        return Usage(used, status.f_files - status.f_favail)

    def capacity(self, volume: VolumeId) -> DiskLimit:
        """What the open volume holds when it is full."""
        status = os.statvfs(self.path(volume))
        return DiskLimit(status.f_blocks * status.f_frsize, status.f_files)

    def disk_bytes(self, volume: VolumeId) -> int:
        """What the image takes on the host's disk."""
        try:
            return self._image(volume).stat().st_blocks * 512
        except FileNotFoundError:
            return 0

    def held_by_nobody(self) -> list[VolumeId]:
        """Volumes that are mounted, or have an image, but that no process holds."""
        names = {entry.name for entry in os.scandir(self._mounted)}
        names |= {entry.name.removesuffix(".img") for entry in os.scandir(self._images) if entry.name.endswith(".img")}
        free = []
        for name in sorted(names):
            lock = self._lock(VolumeId(name), None)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free.append(VolumeId(name))
            except BlockingIOError:
                continue
            finally:
                os.close(lock)
        return free

    def settle(self, volume: VolumeId) -> bool:
        """Unmount and trim a volume that nobody holds; False when there was nothing to do."""
        lock = self._lock(volume, None)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return self._detach(volume)
        finally:
            os.close(lock)

    # -- inside ------------------------------------------------------------------------------------

    def _image(self, volume: VolumeId) -> Path:
        return self._images / f"{volume}.img"

    def _lock_path(self, volume: VolumeId) -> Path:
        return self._images / f"{volume}.lock"

    def _lock(self, volume: VolumeId, how: int | None) -> int:
        """A descriptor on the volume's lock file, locked if `how` says so; the file is the one on disk."""
        path = self._lock_path(volume)
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if how is None:
                return fd
            fcntl.flock(fd, how)
            if path.exists() and path.stat().st_ino == os.fstat(fd).st_ino:
                return fd
            os.close(fd)

    def _attach(self, volume: VolumeId) -> None:
        target = self.path(volume)
        target.mkdir(mode=0o700, exist_ok=True)
        self._mounter.attach_image(self._image(volume), target)

    def _detach(self, volume: VolumeId) -> bool:
        if os.path.ismount(self.path(volume)):
            self._mounter.trim(self.path(volume))
        changed = self._unmount(volume)
        if changed:
            give_back(self._image(volume))
        return changed

    def _unmount(self, volume: VolumeId) -> bool:
        """Everything mounted at the volume's place goes, then the place."""
        target = self.path(volume)
        if not target.exists():
            return False
        for _ in range(16):
            if not os.path.ismount(target):
                break
            self._mounter.unmount(target)
        else:
            raise MountError(os.fspath(target), "is mounted too many times over")
        target.rmdir()
        return True


def reserve(image: Path, size_bytes: int) -> None:
    """Create the file if need be, and allocate every block of it. Raises HostDiskFullError."""
    fd = os.open(image, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        missing = size_bytes - os.fstat(fd).st_blocks * 512
        host = os.statvfs(image)
        free = host.f_bavail * host.f_frsize
        if missing > 0 and free - missing < _RESERVE_BYTES:
            raise HostDiskFullError("a volume of layers", size_bytes, free)
        try:
            os.posix_fallocate(fd, 0, size_bytes)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise HostDiskFullError("a volume of layers", size_bytes, free) from error
    finally:
        os.close(fd)


_PUNCH_HOLE_KEEP_SIZE: Final = 0x02 | 0x01
_libc: Final = ctypes.CDLL(None, use_errno=True)


def give_back(image: Path) -> None:
    """Free the blocks that were reserved and never written, such as unused inode tables.

    To the kernel they are holes for reading; nothing is lost where a file system cannot punch holes.
    """
    fd = os.open(image, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        end, position = os.fstat(fd).st_size, 0
        while position < end:
            try:
                data = os.lseek(fd, position, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                data = end
            if data > position:
                hole = (ctypes.c_int64(position), ctypes.c_int64(data - position))
                if _libc.fallocate(fd, _PUNCH_HOLE_KEEP_SIZE, *hole) != 0:
                    return
            position = os.lseek(fd, data, os.SEEK_HOLE) if data < end else end
    finally:
        os.close(fd)


def _format(image: Path, limit: DiskLimit, owner: tuple[int, int]) -> None:
    """An ext4 without reserved blocks; its directory belongs to `owner`."""
    program = shutil.which("mkfs.ext4", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        raise FormatError("mkfs.ext4 is not installed (Debian package e2fsprogs)")
    extended = f"lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner={owner[0]}:{owner[1]}"
    command = [program, "-q", "-F", "-m", "0", "-I", "256", "-N", str(limit.inodes), "-b", "4096"]
    command += ["-J", f"size={_JOURNAL_MIB}", "-O", "^resize_inode,^huge_file", "-E", extended, os.fspath(image)]
    # The caller's user writes this file; nothing of a sandbox is in it yet.
    done = subprocess.run(command, capture_output=True, timeout=_MKFS_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise FormatError(done.stderr.decode("utf-8", "replace").strip() or f"mkfs.ext4 ended with {done.returncode}")
