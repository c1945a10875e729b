"""System calls that mounting needs and Python lacks; mounts read back; plain mounts.

Standard library only, as all that the mount helper's container runs (`mount_service` lists it).
Errors are OSError with the kernel's errno and a message that names the call.
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass
from typing import Any, Final

OPENAT2: Final = 437
"""System calls have the same numbers on x86-64 and arm64 from here on up."""

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOATIME: Final = 1024
_MS_REMOUNT: Final = 32
_MS_BIND: Final = 4096
_MS_PRIVATE: Final = 1 << 18
_MS_SHARED: Final = 1 << 20
_UMOUNT_NOFOLLOW: Final = 8

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PLACE: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def check(result: int, call: str, path: str | None = None) -> int:
    """`result`, or OSError when it is negative."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}", path)
    return result


def syscall(number: int, name: str, *arguments: Any) -> int:
    """The system call `number`; `name` is for the message of the error."""
    return check(int(libc.syscall(number, *arguments)), name)


# -- reading mounts back -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mounted:
    """A line of /proc/self/mountinfo, unescaped.

    shared: its peer group, "" when it hands nothing on. options: of the file system, not of the mount.
    """

    id: str
    parent: str
    target: str
    shared: str
    type: str
    options: str


def unescape(field: str) -> str:
    """Undo the kernel's octal escapes (blank, tab, newline, backslash)."""
    if "\\" not in field:
        return field
    raw, out, index = os.fsencode(field), bytearray(), 0
    while index < len(raw):
        digits = raw[index + 1 : index + 4]
        if raw[index] == 0x5C and len(digits) == 3 and digits.isdigit():
            out.append(int(digits, 8))
            index += 4
        else:
            out.append(raw[index])
            index += 1
    return os.fsdecode(bytes(out))


def _parsed(line: str) -> Mounted:
    left, _, right = line.partition(" - ")
    fields, rest = left.split(" "), right.split(" ")
    shared = next((tag for tag in fields[6:] if tag.startswith("shared:")), "")
    return Mounted(fields[0], fields[1], unescape(fields[4]), shared, rest[0], rest[2] if len(rest) > 2 else "")


def _lines() -> list[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        return file.read().split("\n")[:-1]


def mounts() -> list[Mounted]:
    """All mounts that this process sees, in the kernel's order: of two at one place the upper one comes later."""
    return [_parsed(line) for line in _lines()]


def mount_of_id(mount_id: str) -> Mounted | None:
    """The mount with this id."""
    return next((_parsed(line) for line in _lines() if line.startswith(mount_id + " ")), None)


def mount_at(target: str) -> Mounted | None:
    """The topmost mount at exactly `target`."""
    real = os.path.realpath(target)
    found = [mounted for mounted in mounts() if mounted.target == real]
    return found[-1] if found else None


def mount_around(path: str) -> Mounted | None:
    """The mount that `path` is on."""
    real = os.path.realpath(path)
    found = [m for m in mounts() if real == m.target or real.startswith(m.target.rstrip("/") + "/")]
    return max(found, key=lambda mounted: len(mounted.target), default=None)


def mounts_below(directory: str) -> list[str]:
    """Where something is mounted below `directory`, once for each mount, innermost first."""
    prefix = os.path.realpath(directory).rstrip("/") + "/"
    return sorted((m.target for m in mounts() if m.target.startswith(prefix)), key=len, reverse=True)


# -- plain mounts ------------------------------------------------------------------------------------------------


def mount(source: str | None, target: str, kind: str | None, flags: int, data: bytes | None = None) -> None:
    """mount(2)."""
    encoded = os.fsencode(source) if source else None
    kind_encoded = kind.encode() if kind else None
    result = libc.mount(encoded, os.fsencode(target), kind_encoded, ctypes.c_ulong(flags), data)
    check(result, "mount", target)


def share(directory: str) -> None:
    """Make the directory a mount of its own that hands later mounts below it on to those who bind from it.

    Its own peer group: in that of the mount around it, everything mounted here would be mounted twice.
    Idempotent. Preconditions: nobody else does it at the same time.
    """
    own = mount_at(directory)
    if own is None:
        mount(directory, directory, None, _MS_BIND)
        own = mount_at(directory)
    around = mount_of_id(own.parent) if own is not None else None
    if own is None or not own.shared or (around is not None and around.shared == own.shared):
        mount(None, directory, None, _MS_PRIVATE)
        mount(None, directory, None, _MS_SHARED)


def bind(source: str, target: str) -> None:
    """Bind-mount a directory, nosuid and nodev."""
    mount(source, target, None, _MS_BIND)
    mount(None, target, None, _MS_BIND | _MS_REMOUNT | MS_NOSUID | MS_NODEV)


def unmount(target: str) -> bool:
    """Unmount the topmost mount at `target`; False when there is none. EBUSY when it is in use."""
    try:
        check(libc.umount2(os.fsencode(target), _UMOUNT_NOFOLLOW), "umount", target)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return False
        raise
    return True
