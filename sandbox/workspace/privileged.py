"""The kernel work that needs CAP_SYS_ADMIN: overlays, loop images, idmapped layers, propagation.

Standard library only and no import of ours, because the same file runs in two places: in the controller when it
is root, and in the mount helper's container for a user of the `docker` group (`main`, one JSON request a line).
Every mount is read back from /proc/self/mountinfo: mount(2) has been seen to cut long option strings silently.
Errors are OSError with the kernel's errno and a message that names the call.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import stat
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

# -- system calls that libc has no wrapper for; the numbers are the same on x86-64 and arm64 ------------------

_OPEN_TREE: Final = 428
_MOVE_MOUNT: Final = 429
_FSOPEN: Final = 430
_FSCONFIG: Final = 431
_FSMOUNT: Final = 432
_MOUNT_SETATTR: Final = 442

_AT_FDCWD: Final = -100
_AT_EMPTY_PATH: Final = 0x1000
_AT_RECURSIVE: Final = 0x8000
_OPEN_TREE_CLONE: Final = 1
_CLOEXEC: Final = 0o2000000
_MOVE_MOUNT_F_EMPTY_PATH: Final = 4
_FSCONFIG_SET_FLAG: Final = 0
_FSCONFIG_SET_STRING: Final = 1
_FSCONFIG_CMD_CREATE: Final = 6
_MOUNT_ATTR_RDONLY: Final = 1
_MOUNT_ATTR_NOSUID: Final = 2
_MOUNT_ATTR_NODEV: Final = 4
_MOUNT_ATTR_NOATIME: Final = 0x10
_MOUNT_ATTR_IDMAP: Final = 0x00100000

_MS_RDONLY: Final = 1
_MS_NOSUID: Final = 2
_MS_NODEV: Final = 4
_MS_REMOUNT: Final = 32
_MS_NOATIME: Final = 1024
_MS_BIND: Final = 4096
_MS_REC: Final = 16384
_MS_SHARED: Final = 1 << 20
_MNT_DETACH: Final = 2
_UMOUNT_NOFOLLOW: Final = 8

_CLONE_NEWUSER: Final = 0x10000000
_MAX_ID: Final = 0xFFFFFFFF

_LOOP_SET_FD: Final = 0x4C00
_LOOP_SET_STATUS64: Final = 0x4C04
_LOOP_CLR_FD: Final = 0x4C01
_LOOP_CONFIGURE: Final = 0x4C0A
_LOOP_CTL_GET_FREE: Final = 0x4C82
_LO_FLAGS_AUTOCLEAR: Final = 4
_FITRIM: Final = 0xC0185879

_OPAQUE: Final = "trusted.overlay.opaque"
_PAGE_OPTIONS: Final = 4000
"""Longest option string given to mount(2), which copies one page."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _check(result: int, call: str, path: str = "") -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}", path or None)
    return result


def _syscall(number: int, name: str, *arguments: Any) -> int:
    return _check(int(_libc.syscall(number, *arguments)), name)


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


# -- user namespaces as id maps --------------------------------------------------------------------------------

_namespaces: dict[tuple[int, int, int], int] = {}


def swap_namespace(owner_uid: int, owner_gid: int, sandbox_id: int) -> int:
    """A user namespace that exchanges owner and sandbox id and leaves every other id as it is; kept open.

    Made by a child that exits at once: the namespace lives on by the descriptor.
    """
    key = (owner_uid, owner_gid, sandbox_id)
    if key not in _namespaces:
        _namespaces[key] = _new_namespace(_swap(owner_uid, sandbox_id), _swap(owner_gid, sandbox_id))
    return _namespaces[key]


def _swap(one: int, other: int) -> str:
    if one == other:
        return f"0 0 {_MAX_ID}\n"
    low, high = sorted((one, other))
    extents = [(0, 0, low), (low, high, 1), (low + 1, low + 1, high - low - 1), (high, low, 1)]
    extents.append((high + 1, high + 1, _MAX_ID - high - 1))
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in extents if count)


def _new_namespace(uid_map: str, gid_map: str) -> int:
    ready_read, ready_write = os.pipe()
    done_read, done_write = os.pipe()
    child = os.fork()
    if child == 0:
        # Only async-signal-safe work here: other threads' locks may be held.
        os.close(ready_read)
        os.close(done_write)
        result = _libc.unshare(_CLONE_NEWUSER)
        os.write(ready_write, b"\0" if result == 0 else bytes([ctypes.get_errno() & 0xFF or 1]))
        os.read(done_read, 1)
        os._exit(0)
    os.close(ready_write)
    os.close(done_read)
    try:
        status = os.read(ready_read, 1)
        if status != b"\0":
            code = status[0] if status else errno.EIO
            raise OSError(code, f"unshare(CLONE_NEWUSER): {os.strerror(code)}")
        for name, text in (("uid_map", uid_map), ("gid_map", gid_map)):
            fd = os.open(f"/proc/{child}/{name}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, text.encode())
            finally:
                os.close(fd)
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(done_write)
        os.close(ready_read)
        os.waitpid(child, 0)


# -- reading mounts back -----------------------------------------------------------------------------------------


def _unescape(field: str) -> str:
    """Undo the kernel's octal escapes."""
    if "\\" not in field:
        return field
    raw, out, index = os.fsencode(field), bytearray(), 0
    while index < len(raw):
        if raw[index] == 0x5C and raw[index + 1 : index + 4].isdigit():
            out.append(int(raw[index + 1 : index + 4], 8))
            index += 4
        else:
            out.append(raw[index])
            index += 1
    return os.fsdecode(bytes(out))


def mounts() -> list[dict[str, str]]:
    """All mounts of this namespace in mount order: target, root, optional, type, source, super."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        lines = file.read().splitlines()
    found = []
    for line in lines:
        left, _, right = line.partition(" - ")
        fields, rest = left.split(" "), right.split(" ")
        found.append(
            {
                "id": fields[0],
                "root": _unescape(fields[3]),
                "target": _unescape(fields[4]),
                "options": fields[5],
                "optional": " ".join(fields[6:]),
                "type": rest[0],
                "source": _unescape(rest[1]),
                "super": rest[2] if len(rest) > 2 else "",
            }
        )
    return found


def mount_at(target: str) -> dict[str, str] | None:
    """The topmost mount at exactly `target`."""
    real = os.path.realpath(target)
    found = None
    for mount in mounts():
        if mount["target"] == real:
            found = mount
    return found


# -- operations --------------------------------------------------------------------------------------------------


def share(directory: str) -> None:
    """Bind the directory onto itself and make it shared, once."""
    mount = mount_at(directory)
    if mount is None:
        _mount(directory, directory, None, _MS_BIND, None)
        mount = mount_at(directory)
    if mount is None or "shared:" not in mount["optional"]:
        _mount(None, directory, None, _MS_SHARED, None)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: bytes | None) -> None:
    _check(
        _libc.mount(
            os.fsencode(source) if source else None,
            os.fsencode(target),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            data,
        ),
        "mount",
        target,
    )


def bind(source: str, target: str) -> None:
    """Bind-mount a directory, nosuid and nodev."""
    _mount(source, target, None, _MS_BIND, None)
    _mount(None, target, None, _MS_BIND | _MS_REMOUNT | _MS_NOSUID | _MS_NODEV, None)


def unmount(target: str) -> bool:
    """Unmount the topmost mount at `target`; False when there is none. EBUSY when it is in use."""
    try:
        _check(_libc.umount2(os.fsencode(target), _UMOUNT_NOFOLLOW), "umount", target)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return False
        raise
    return True


def attach_image(image: str, target: str) -> None:
    """Mount the ext4 image at `target` through a loop device that goes with the mount. Idempotent."""
    if mount_at(target) is not None:
        return
    image_fd = os.open(image, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if not stat.S_ISREG(os.fstat(image_fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", image)
        loop_fd, device = _free_loop(image_fd, image)
        try:
            flags = _MS_NOSUID | _MS_NODEV | _MS_NOATIME
            _mount(device, target, "ext4", flags, b"errors=remount-ro")
        finally:
            # With autoclear the device is freed when the mount goes, or now when there is none.
            os.close(loop_fd)
    finally:
        os.close(image_fd)


def _free_loop(image_fd: int, image: str) -> tuple[int, str]:
    for _ in range(64):
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
        finally:
            os.close(control)
        device = f"/dev/loop{number}"
        if not os.path.exists(device):
            # A container's /dev may be a copy made before the kernel added the device.
            os.mknod(device, stat.S_IFBLK | 0o600, os.makedev(7, number))
        loop_fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        try:
            _configure_loop(loop_fd, image_fd, image)
        except OSError as error:
            os.close(loop_fd)
            if error.errno != errno.EBUSY:
                raise
        else:
            return loop_fd, device
    raise OSError(errno.EBUSY, "no free loop device", image)


def _configure_loop(loop_fd: int, image_fd: int, image: str) -> None:
    # struct loop_info64: device inode rdevice offset sizelimit number encrypt_type key_size flags name crypt key init
    name = os.fsencode(image)[-63:]
    info = struct.pack(
        "=QQQQQIIII64s64s32sQQ", 0, 0, 0, 0, 0, 0, 0, 0, _LO_FLAGS_AUTOCLEAR, name, b"", b"", 0, 0
    )
    config = struct.pack("=II", image_fd, 4096) + info + bytes(64)
    try:
        fcntl.ioctl(loop_fd, _LOOP_CONFIGURE, config)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTTY):
            raise
        fcntl.ioctl(loop_fd, _LOOP_SET_FD, image_fd)
        fcntl.ioctl(loop_fd, _LOOP_SET_STATUS64, info)


def mount_overlay(
    lowers: Sequence[str],
    upper: str | None,
    work: str | None,
    target: str,
    swap: tuple[int, int, int] | None,
) -> None:
    """Mount an overlay, nosuid and nodev; read-only without `upper`. See `mounting.Mounter`."""
    namespace = swap_namespace(*swap) if swap is not None else None
    opened: list[int] = []
    try:
        lower_fds = [_layer_fd(path, namespace, opened) for path in lowers]
        top: tuple[int, str, str] | None = None
        if upper is not None and work is not None:
            above = os.path.dirname(upper)
            if os.path.dirname(work) != above:
                raise OSError(errno.EINVAL, "upper and work must be in one directory", upper)
            # Both must be on one mount, so their common directory is what is mapped.
            top = (_layer_fd(above, namespace, opened), os.path.basename(upper), os.path.basename(work))
        _create_overlay(lower_fds, top, target)
    finally:
        for fd in opened:
            os.close(fd)
    _read_back(target, len(lowers), upper is not None)


def _layer_fd(path: str, namespace: int | None, opened: list[int]) -> int:
    """A descriptor on the directory; with a namespace, on a detached, idmapped clone of its mount."""
    if namespace is None:
        fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        opened.append(fd)
        return fd
    fd = _syscall(_OPEN_TREE, "open_tree", _AT_FDCWD, os.fsencode(path), _OPEN_TREE_CLONE | _CLOEXEC | 0x100)
    opened.append(fd)
    attributes = _MountAttr(_MOUNT_ATTR_IDMAP, 0, 0, namespace)
    size = ctypes.sizeof(attributes)
    _syscall(_MOUNT_SETATTR, "mount_setattr", fd, b"", _AT_EMPTY_PATH, ctypes.byref(attributes), size)
    return fd


_OPTIONS: Final = (("redirect_dir", "off"), ("metacopy", "off"), ("index", "off"), ("xino", "off"))


def _create_overlay(lowers: Sequence[int], top: tuple[int, str, str] | None, target: str) -> None:
    def configure(command: int, key: str | None, value: str | None) -> None:
        _syscall(
            _FSCONFIG,
            f"fsconfig({key})",
            context,
            command,
            key.encode() if key else None,
            value.encode() if value is not None else None,
            0,
        )

    context = _syscall(_FSOPEN, "fsopen", b"overlay", 1)
    try:
        configure(_FSCONFIG_SET_STRING, "source", "sandstone")
        for fd in lowers:
            configure(_FSCONFIG_SET_STRING, "lowerdir+", f"/proc/self/fd/{fd}")
        if top is not None:
            configure(_FSCONFIG_SET_STRING, "upperdir", f"/proc/self/fd/{top[0]}/{top[1]}")
            configure(_FSCONFIG_SET_STRING, "workdir", f"/proc/self/fd/{top[0]}/{top[2]}")
        for key, value in _OPTIONS:
            configure(_FSCONFIG_SET_STRING, key, value)
        configure(_FSCONFIG_CMD_CREATE, None, None)
        attributes = _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV | (0 if top else _MOUNT_ATTR_RDONLY)
        mount_fd = _syscall(_FSMOUNT, "fsmount", context, 1, attributes)
    finally:
        os.close(context)
    try:
        _syscall(
            _MOVE_MOUNT, "move_mount", mount_fd, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH
        )
    finally:
        os.close(mount_fd)


def _read_back(target: str, lowers: int, writable: bool) -> None:
    mount = mount_at(target)
    options = mount["super"].split(",") if mount else []
    seen = sum(option.startswith("lowerdir+=") for option in options)
    if seen == 0:
        seen = sum(len(o[len("lowerdir=") :].split(":")) for o in options if o.startswith("lowerdir="))
    has_upper = any(option.startswith("upperdir=") for option in options)
    if mount is None or mount["type"] != "overlay" or seen != lowers or has_upper != writable:
        unmount(target)
        raise OSError(errno.EIO, f"the kernel mounted {seen} of {lowers} layers (upper: {has_upper})", target)


def opaque_directories(upper: str) -> list[bytes]:
    """Directories below `upper` that overlayfs marked opaque; links are never followed."""
    found: list[bytes] = []
    pending = [b""]
    root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        while pending:
            path = pending.pop()
            fd = _descend(root, path)
            try:
                if path and _is_opaque(fd):
                    found.append(path)
                with os.scandir(fd) as entries:
                    names = [os.fsencode(entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
            finally:
                os.close(fd)
            pending.extend(path + b"/" + name if path else name for name in names)
    finally:
        os.close(root)
    return sorted(found)


def set_opaque(upper: str, directories: Sequence[bytes]) -> None:
    """Mark directories below `upper` opaque."""
    root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for path in directories:
            fd = _descend(root, path)
            try:
                os.setxattr(fd, _OPAQUE, b"y")
            finally:
                os.close(fd)
    finally:
        os.close(root)


def _descend(root: int, path: bytes) -> int:
    """A descriptor on the directory `path` below `root`, part by part, no link followed."""
    fd = os.dup(root)
    for part in path.split(b"/") if path else ():
        if part in (b"", b".", b".."):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a plain path", path)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            below = os.open(part, flags, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(fd, _OPAQUE) == b"y"
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise


def trim(mounted: str) -> int:
    """Give unused blocks back to the file below (FITRIM); bytes given back."""
    fd = os.open(mounted, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        request = bytearray(struct.pack("=QQQ", 0, 0xFFFFFFFFFFFFFFFF, 0))
        fcntl.ioctl(fd, _FITRIM, request)
        return int(struct.unpack("=QQQ", request)[1])
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY):
            return 0
        raise
    finally:
        os.close(fd)
