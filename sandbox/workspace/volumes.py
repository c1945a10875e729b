"""Volumes: where layers are kept, and what bounds them.

`ImageVolumes` keeps each in an ext4 image, allocated in full before it is written: a hard limit in bytes and
inodes on any host, and a hostile tree goes with one file. While a volume is closed its unused blocks belong to
the host; opening reserves them again, so that a write inside never fails for want of room outside.
`PlainVolumes` are directories, for hosts without loop devices: their limit is only counted.

An image is mounted at most once on a host. Processes that use a volume hold a shared lock on `<id>.lock`; who
mounts, unmounts or deletes holds it exclusively, and nobody waits for that but another who wants to open.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from sandbox.errors import HostDiskFullError, LayerExistsError, LayerNotFoundError, MountError, SandboxError
from sandbox.failpoints import SandboxPoint, reached
from sandbox.spec import MIB
from sandbox.workspace.beneath import opened
from sandbox.workspace.kernel import mount_at
from sandbox.workspace.layer import DiskLimit, Usage, VolumeId
from sandbox.workspace.measure import usage_of
from sandbox.workspace.mounting import Mounter
from sandbox.workspace.tree import TreeLimits, rmtree

_LOG: Final = logging.getLogger(__name__)
_PUNCH_HOLE_KEEP_SIZE: Final = 0x02 | 0x01
_libc: Final = ctypes.CDLL(None, use_errno=True)
_JOURNAL_MIB: Final = 4
_SMALLEST_IMAGE: Final = 16 * MIB
_INODE_BYTES: Final = 256
_MKFS_TIMEOUT_S: Final = 60
_ANY_SIZE: Final = TreeLimits(entries=1 << 40, file_bytes=1 << 62, total_bytes=1 << 62)
_HOST_RESERVE_BYTES: Final = 64 * MIB
"""Left free on the host's disk for the journal and everything else."""

LARGEST_PIECE: Final = 2 * MIB
"""The kernel takes a large write in pieces of up to this size and refuses one that does not fit as a whole, so a
volume may be full with as much left. An image is larger than its limit by it, so that nobody has less for that."""


class FormatError(SandboxError):
    """mkfs.ext4 is missing or failed; `reason` says how."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"a volume cannot be formatted: {reason}")
        self.reason = reason


class _Places(Protocol):
    """What differs between the two kinds. None of it locks."""

    def make(self, volume: VolumeId, limit: DiskLimit, owner: tuple[int, int]) -> None: ...
    def exists(self, volume: VolumeId) -> bool: ...
    def attach(self, volume: VolumeId, limit: DiskLimit) -> None: ...
    def is_attached(self, volume: VolumeId) -> bool: ...
    def detach(self, volume: VolumeId, keep: bool) -> bool: ...
    def delete(self, volume: VolumeId) -> None: ...
    def disk_bytes(self, volume: VolumeId) -> int: ...
    def all(self) -> set[VolumeId]: ...


class Volumes:
    """The volumes of one store: made, held by this process, let go, deleted. The caller has one thread in here."""

    def __init__(self, root: Path, mounted: Path, mounter: Mounter | None) -> None:
        """Images (mounted below `mounted`) with a mounter, plain directories without."""
        self._locks_at = root / "volumes"
        self._locks_at.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.hard: Final = mounter is not None
        """Whether the file system enforces the limits."""
        self._mounted = mounted if mounter else self._locks_at
        self._places: _Places = (
            ImagePlaces(self._locks_at, mounted, mounter) if mounter else PlainPlaces(self._locks_at)
        )
        self._held: dict[VolumeId, int] = {}

    def path(self, volume: VolumeId) -> Path:
        """Where the volume's files are while it is open."""
        return self._mounted / volume

    def create(self, volume: VolumeId, limit: DiskLimit, owner: tuple[int, int]) -> None:
        """Make an empty volume whose directory belongs to `owner`; nobody else can hold it before `publish`.

        Raises:
          LayerExistsError: another process makes or holds it. HostDiskFullError: no room.
          FormatError, MountError.
        """
        lock = self._exclusive(volume)
        if lock is None:
            raise LayerExistsError(volume)
        try:
            self._places.delete(volume)  # what a crash left of an earlier try
            self._places.make(volume, limit, owner)
            self._places.attach(volume, limit)
        except BaseException:
            self._discard(volume)
            os.close(lock)
            raise
        self._held[volume] = lock

    def publish(self, volume: VolumeId, limit: DiskLimit) -> None:
        """Hold a created volume as an opened one. Preconditions: it is known, see `tidy`."""
        os.close(self._held.pop(volume))
        self.open(volume, limit)

    def abandon(self, volume: VolumeId) -> None:
        """Delete a created volume that was not published."""
        self._discard(volume)
        os.close(self._held.pop(volume))

    def open(self, volume: VolumeId, limit: DiskLimit) -> None:
        """Make its files visible and hold it. Idempotent.

        Raises LayerNotFoundError: there is no such volume; HostDiskFullError, MountError.
        """
        while volume not in self._held:
            if not self._places.exists(volume):
                raise LayerNotFoundError(volume)
            lock = self._lock(volume)
            try:
                if _try_exclusive(lock):
                    self._places.attach(volume, limit)
                fcntl.flock(lock, fcntl.LOCK_SH)
                # Going from exclusive to shared is not atomic: somebody may have unmounted or deleted it meanwhile.
                if self._is_current(volume, lock) and self._places.is_attached(volume):
                    self._held[volume] = lock
            finally:
                if volume not in self._held:
                    os.close(lock)

    def close(self, volume: VolumeId) -> None:
        """Let go of it; who lets go last unmounts it and gives unused room back. Idempotent."""
        lock = self._held.pop(volume, None)
        if lock is None:
            return
        try:
            if _try_exclusive(lock):
                self._places.detach(volume, keep=True)
        finally:
            os.close(lock)

    @contextmanager
    def removal(self, volume: VolumeId) -> Iterator[bool]:
        """Whether nobody, this process included, holds the volume; if so, its files go when the block is left."""
        lock = self._exclusive(volume)
        try:
            yield lock is not None
            if lock is not None:
                self._discard(volume)
        finally:
            if lock is not None:
                os.close(lock)

    def tidy(self, is_known: Callable[[VolumeId], bool]) -> list[str]:
        """Delete what is no known volume, unmount what nobody holds; says what, relative to the store."""
        done = []
        locks = {VolumeId(name.removesuffix(".lock")) for name in _names(self._locks_at) if name.endswith(".lock")}
        for volume in sorted(self._places.all() | locks):
            lock = self._exclusive(volume)
            if lock is None:
                continue
            try:
                if not is_known(volume):
                    self._discard(volume)
                    reached(SandboxPoint.TIDIED_ONE)
                    done.append(f"volumes/{volume}")
                elif self._places.detach(volume, keep=True):
                    reached(SandboxPoint.TIDIED_ONE)
                    done.append(f"mnt/volumes/{volume}")
            except MountError as error:
                _LOG.warning("volume %s stays: %s", volume, error)
            finally:
                os.close(lock)
        return done

    def usage(self, volume: VolumeId) -> Usage:
        """Bytes and inodes that the open volume has no more to give, as its file system counts. Only where `hard`.

        What it keeps back for itself counts as used: a step is refused it.
        """
        status = os.statvfs(self.path(volume))
        return Usage((status.f_blocks - status.f_bavail) * status.f_frsize, status.f_files - status.f_favail)

    def capacity(self, volume: VolumeId, limit: DiskLimit) -> DiskLimit:
        """What the open volume holds when it is full; never more than `limit`, less what the file system needs."""
        if not self.hard:
            return limit
        status = os.statvfs(self.path(volume))
        return DiskLimit(min(limit.bytes, status.f_blocks * status.f_frsize), min(limit.inodes, status.f_files))

    def disk_bytes(self, volume: VolumeId) -> int:
        """What it takes on the host's disk, open or not; 0 when its files are gone."""
        return self._places.disk_bytes(volume)

    def _lock_path(self, volume: VolumeId) -> Path:
        return self._locks_at / f"{volume}.lock"

    def _discard(self, volume: VolumeId) -> None:
        """Preconditions: its lock is held exclusively."""
        self._places.delete(volume)
        self._lock_path(volume).unlink()

    def _exclusive(self, volume: VolumeId) -> int | None:
        """The volume's lock, exclusively held; None when somebody has it."""
        while True:
            lock = self._lock(volume)
            if not _try_exclusive(lock):
                os.close(lock)
                return None
            if self._is_current(volume, lock):
                return lock
            os.close(lock)

    def _lock(self, volume: VolumeId) -> int:
        """The volume's lock file, open and not locked."""
        return os.open(self._lock_path(volume), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _is_current(self, volume: VolumeId, lock: int) -> bool:
        """Whether the lock file is still the volume's: it may have been deleted before it was locked."""
        try:
            return self._lock_path(volume).stat().st_ino == os.fstat(lock).st_ino
        except FileNotFoundError:
            return False


def _try_exclusive(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory)) if directory.is_dir() else []


class ImagePlaces:
    """`<id>.img` files, mounted at `<mounted>/<id>`."""

    def __init__(self, images: Path, mounted: Path, mounter: Mounter) -> None:
        self._images = images
        self._mounted = mounted
        self._mounter = mounter

    def make(self, volume: VolumeId, limit: DiskLimit, owner: tuple[int, int]) -> None:
        reserve(self._image(volume), _image_bytes(limit))
        reached(SandboxPoint.VOLUME_RESERVED)
        _format(self._image(volume), limit, owner)
        reached(SandboxPoint.VOLUME_FORMATTED)

    def exists(self, volume: VolumeId) -> bool:
        return self._image(volume).exists()

    def attach(self, volume: VolumeId, limit: DiskLimit) -> None:
        if self.is_attached(volume):
            return
        reserve(self._image(volume), _image_bytes(limit))
        target = self._mounted / volume
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mounter.attach_image(self._image(volume), target)
        reached(SandboxPoint.VOLUME_ATTACHED)

    def is_attached(self, volume: VolumeId) -> bool:
        return mount_at(os.fspath(self._mounted / volume)) is not None

    def detach(self, volume: VolumeId, keep: bool) -> bool:
        """Unmount it, and with `keep` give what it does not use back to the host; False when it was not mounted."""
        target = self._mounted / volume
        if not target.exists():
            return False
        attached = self.is_attached(volume)
        if attached and keep:
            self._mounter.trim(target)
            reached(SandboxPoint.VOLUME_TRIMMED)
        if attached:
            self._mounter.unmount(target)
            reached(SandboxPoint.VOLUME_DETACHED)
        if self.is_attached(volume):
            raise MountError(os.fspath(target), "is mounted more than once")
        target.rmdir()
        if attached and keep:
            give_back(self._image(volume))
        return attached

    def delete(self, volume: VolumeId) -> None:
        self.detach(volume, keep=False)
        self._image(volume).unlink(missing_ok=True)

    def all(self) -> set[VolumeId]:
        images = {name.removesuffix(".img") for name in _names(self._images) if name.endswith(".img")}
        return {VolumeId(name) for name in images | set(_names(self._mounted))}

    def disk_bytes(self, volume: VolumeId) -> int:
        return self._image(volume).stat().st_blocks * 512 if self.exists(volume) else 0

    def _image(self, volume: VolumeId) -> Path:
        return self._images / f"{volume}.img"


class PlainPlaces:
    """Directories."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def make(self, volume: VolumeId, limit: DiskLimit, owner: tuple[int, int]) -> None:
        free = os.statvfs(self._directory)
        if free.f_bavail * free.f_frsize < limit.bytes:
            raise HostDiskFullError("a volume of layers", limit.bytes, free.f_bavail * free.f_frsize)
        (self._directory / volume).mkdir(mode=0o700)

    def exists(self, volume: VolumeId) -> bool:
        return (self._directory / volume).is_dir()

    def attach(self, volume: VolumeId, limit: DiskLimit) -> None:
        """Its files are visible already."""

    def is_attached(self, volume: VolumeId) -> bool:
        return self.exists(volume)

    def detach(self, volume: VolumeId, keep: bool) -> bool:
        return False

    def delete(self, volume: VolumeId) -> None:
        with opened(self._directory) as fd:
            rmtree(fd, os.fsencode(volume))

    def disk_bytes(self, volume: VolumeId) -> int:
        if not self.exists(volume):
            return 0
        with opened(self._directory / volume) as fd:
            return usage_of(fd, _ANY_SIZE).bytes

    def all(self) -> set[VolumeId]:
        return {VolumeId(name) for name in _names(self._directory) if (self._directory / name).is_dir()}


def reserve(image: Path, size_bytes: int) -> None:
    """Create the file if need be, and allocate every block of it. Raises HostDiskFullError."""
    fd = os.open(image, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        missing = size_bytes - os.fstat(fd).st_blocks * 512
        host = os.statvfs(image)
        free = host.f_bavail * host.f_frsize
        if missing > 0 and free - missing < _HOST_RESERVE_BYTES:
            raise HostDiskFullError("a volume of layers", missing, free)
        try:
            os.posix_fallocate(fd, 0, size_bytes)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise HostDiskFullError("a volume of layers", missing, free) from error
    finally:
        os.close(fd)


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


def _image_bytes(limit: DiskLimit) -> int:
    """A multiple of the block size, and enough for a file system at all."""
    return (max(limit.bytes, _SMALLEST_IMAGE) + LARGEST_PIECE) & ~4095


def _format(image: Path, limit: DiskLimit, owner: tuple[int, int]) -> None:
    """An ext4 without reserved blocks; at most a quarter of it is inodes."""
    program = shutil.which("mkfs.ext4", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if program is None:
        raise FormatError("mkfs.ext4 is not installed (Debian package e2fsprogs)")
    inodes = min(limit.inodes, _image_bytes(limit) // 4 // _INODE_BYTES)
    extended = f"lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner={owner[0]}:{owner[1]}"
    command = [program, "-q", "-F", "-m", "0", "-I", str(_INODE_BYTES), "-N", str(inodes), "-b", "4096"]
    command += ["-J", f"size={_JOURNAL_MIB}", "-O", "^resize_inode", "-E", extended, os.fspath(image)]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "MKE2FS_SYNC": "0"}
    done = subprocess.run(command, capture_output=True, timeout=_MKFS_TIMEOUT_S, check=False, env=environment)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise FormatError(said or f"mkfs.ext4 ended with {done.returncode}")
