"""Opening what lies below a directory that hostile code wrote, without being led anywhere else.

Every step starts at one trusted directory descriptor: no link is followed, no `..` leaves the tree, no
mount is crossed (`st_dev` alone does not see a bind mount of the same file system), and for reading
only regular files are opened, O_NONBLOCK, and looked at again once they are open.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sandbox.errors import PathRefusedError, TreeRefusedError
from sandbox.workspace.display import display

_NO_XDEV: Final = 0x01
_NO_MAGICLINKS: Final = 0x02
_NO_SYMLINKS: Final = 0x04
_BENEATH: Final = 0x08
_OPENAT2: Final = 437
"""The same number on every architecture."""

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
REGULAR: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
LOOK: Final = os.O_PATH | os.O_NOFOLLOW
_CHUNK: Final = 1 << 20
_OCTAL: Final = re.compile(rb"\\([0-7]{3})")
"""How mountinfo writes blanks and backslashes."""


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def open_beneath(directory_fd: int, path: bytes, flags: int, mode: int = 0) -> int:
    """A descriptor (close-on-exec) on `path` below the directory, or OSError with the kernel's errno.

    ELOOP: a part is a symbolic link. EXDEV: the path is absolute, leaves the directory by `..`, or
    crosses a mount. Without openat2 (kernel before 5.6, or a filter that forbids it) the path is
    walked part by part under the same rules, and any `..` is refused.
    """
    how = _How(flags | os.O_CLOEXEC, mode, _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS | _NO_XDEV)
    for _ in range(128):
        fd: int = _libc.syscall(_OPENAT2, directory_fd, path, ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        if code == errno.ENOSYS or (code == errno.EPERM and not has_openat2()):
            return open_by_parts(directory_fd, path, flags, mode)
        if code not in (errno.EAGAIN, errno.EINTR):  # EAGAIN: a rename or mount elsewhere got in between
            raise OSError(code, os.strerror(code), path)
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)


def has_openat2() -> bool:
    """Whether the call works at all here: a seccomp filter answers EPERM to every use of it."""
    how = _How(os.O_PATH | os.O_CLOEXEC, 0, 0)
    fd: int = _libc.syscall(_OPENAT2, -100, b"/", ctypes.byref(how), ctypes.sizeof(how))
    if fd >= 0:
        os.close(fd)
    return fd >= 0


def open_by_parts(directory_fd: int, path: bytes, flags: int, mode: int = 0) -> int:
    """What `open_beneath` does where the kernel has no openat2; same rules, one call for each part."""
    parts = [part for part in path.split(b"/") if part != b"."]
    if path.startswith(b"/") or b".." in parts:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    mount = _mount_of(directory_fd)
    current = os.dup(directory_fd)
    try:
        for part in filter(None, parts[:-1]):
            following = os.open(part, LOOK | os.O_DIRECTORY, dir_fd=current)
            os.close(current)
            current = following
        fd = os.open(parts[-1] if parts and parts[-1] else b".", flags | os.O_NOFOLLOW, mode, dir_fd=current)
    except NotADirectoryError as error:
        # With O_DIRECTORY a link answers ENOTDIR; both mean that the way does not lead on.
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path) from error
    finally:
        os.close(current)
    if _mount_of(fd) != mount:
        os.close(fd)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    return fd


def _mount_of(fd: int) -> bytes:
    """The id of the mount that `fd` is on: unlike st_dev it tells a bind mount from its surroundings."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as info:
        return next(line for line in info if line.startswith(b"mnt_id:"))


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """`open_directory` for the length of a block."""
    fd = open_directory(path)
    try:
        yield fd
    finally:
        os.close(fd)


def open_directory(path: Path) -> int:
    """A descriptor on the root of a tree, itself no symbolic link; the caller closes it.

    Hostile code may have taken the root's own permissions away: they are given back (u+rwx), since a
    root's mode is no part of what a layer records. Raises TreeRefusedError: not a directory, or not ours.
    """
    try:
        fd = os.open(path, LOOK | os.O_DIRECTORY)
        try:
            mode = stat.S_IMODE(os.fstat(fd).st_mode)
            if mode & 0o700 != 0o700 and os.geteuid() != 0:
                os.chmod(f"/proc/self/fd/{fd}", mode | 0o700)
            return os.open(".", DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
    except OSError as error:
        reason = f"not a readable directory: {error.strerror}"
        raise TreeRefusedError(display(os.fsencode(path)), reason) from error


def open_regular(directory_fd: int, path: bytes) -> int:
    """A read-only descriptor on the regular file `path` below the directory; the caller closes it.

    Raises PathRefusedError: nothing there, a link on the way, or anything but a regular file. A FIFO
    or device is never opened for reading.
    """
    try:
        fd = open_beneath(directory_fd, path, REGULAR)
    except OSError as error:
        raise PathRefusedError(display(path), _why(error)) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise PathRefusedError(display(path), "is not a regular file")
    return fd


def _why(error: OSError) -> str:
    reasons = {
        errno.ELOOP: "goes through a symbolic link",
        errno.EXDEV: "leaves the tree or crosses a mount",
        errno.ENXIO: "is not a regular file",
        errno.ENOENT: "does not exist",
        errno.ENOTDIR: "goes through something that is not a directory",
    }
    return reasons.get(error.errno or 0) or f"cannot be opened: {error.strerror}"


def read_regular(directory_fd: int, path: bytes, cap_bytes: int) -> bytes:
    """The content of a regular file of at most `cap_bytes`.

    Raises PathRefusedError as `open_regular`; TreeRefusedError: larger than the cap, or it grew past it.
    """
    fd = open_regular(directory_fd, path)
    try:
        parts = []
        left = cap_bytes + 1
        while left and (part := os.read(fd, min(_CHUNK, left))):
            parts.append(part)
            left -= len(part)
        if not left:
            raise TreeRefusedError(display(path), f"larger than {cap_bytes} bytes")
        return b"".join(parts)
    finally:
        os.close(fd)


def mounts_below(directory: Path) -> list[bytes]:
    """What is mounted strictly below `directory`, as this process sees it, sorted."""
    prefix = os.fsencode(os.path.realpath(directory)).rstrip(b"/") + b"/"
    with open("/proc/self/mountinfo", "rb") as table:
        points = {_OCTAL.sub(lambda code: bytes([int(code[1], 8)]), line.split(b" ")[4]) for line in table}
    return sorted(point for point in points if point.startswith(prefix) and point != prefix)
