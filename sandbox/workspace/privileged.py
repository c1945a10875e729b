"""Overlays with idmapped layers, and what else of a layer only root may do.

Runs in two places: in the controller when it is root, and in the mount helper's container for a user of the
`docker` group (`mount_service`). Standard library only and no import of ours but `kernel`.
Every overlay is read back from /proc/self/mountinfo: mount(2) has been seen to cut long option strings silently.
Errors are OSError with the kernel's errno and a message that names the call.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct
import subprocess
from collections.abc import Callable, Sequence
from typing import Final

from sandbox.workspace import kernel
from sandbox.workspace.kernel import libc, syscall

_OPEN_TREE: Final = 428
_MOVE_MOUNT: Final = 429
_FSOPEN: Final = 430
_FSCONFIG: Final = 431
_FSMOUNT: Final = 432
_MOUNT_SETATTR: Final = 442

_AT_FDCWD: Final = -100
_AT_EMPTY_PATH: Final = 0x1000
_AT_SYMLINK_NOFOLLOW: Final = 0x100
_OPEN_TREE_CLONE: Final = 1
_MOVE_MOUNT_F_EMPTY_PATH: Final = 4
_RESOLVE_NO_SYMLINKS: Final = 4
_RESOLVE_BENEATH: Final = 8
_SET_FLAG: Final = 0
_SET_STRING: Final = 1
_CMD_CREATE: Final = 6
_MOUNT_ATTR_RDONLY: Final = 1
_MOUNT_ATTR_NOSUID: Final = 2
_MOUNT_ATTR_NODEV: Final = 4
_MOUNT_ATTR_IDMAP: Final = 0x00100000
_STATX_INO: Final = 0x100
_STATX_MNT_ID: Final = 0x1000
_STATX_BYTES: Final = 256
_MAX_ID: Final = 0xFFFFFFFF

_OVERLAY_OPTIONS: Final = (("redirect_dir", "off"), ("metacopy", "off"), ("index", "off"), ("xino", "auto"))
_OPAQUE: Final = "trusted.overlay.opaque"
_PAGE_OPTIONS: Final = 4000
"""Longest option string given to mount(2), which copies one page."""


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


# -- user namespaces as id maps --------------------------------------------------------------------------------

_STAND_STILL: Final = ("unshare", "--user", "--", "cat")
_PIPE: Final = subprocess.PIPE
_MAX_MESSAGE: Final = 500

_namespaces: dict[tuple[int, int, int], int] = {}


def swap_namespace(owner_uid: int, owner_gid: int, sandbox_id: int) -> int:
    """A user namespace that exchanges owner and sandbox id and leaves every other id as it is; kept open.

    Made by a child that ends at once: the namespace lives on by the descriptor.
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
    """Of a program that stands still in it until its stdin ends, which it does with this process at the latest.

    Not of a fork: what others registered to run in every fork's child would run too (gRPC starts threads there, and
    a process with threads gets no user namespace), and the child would keep what is open and locked here.
    """
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        child = subprocess.Popen(
            _STAND_STILL, stdin=_PIPE, stdout=_PIPE, stderr=_PIPE, bufsize=0, cwd="/", env=environment
        )
    except FileNotFoundError:
        raise OSError(errno.ENOENT, "unshare is missing (package util-linux)") from None
    with child:
        _wait_until_it_stands(child)
        for name, text in (("uid_map", uid_map), ("gid_map", gid_map)):
            fd = os.open(f"/proc/{child.pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, text.encode())
            finally:
                os.close(fd)
        return os.open(f"/proc/{child.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


def _wait_until_it_stands(child: subprocess.Popen[bytes]) -> None:
    """Returns when `cat` answers, so when unshare(1) has done its part; raises what kept it from that."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(b"?")
    if child.stdout.read(1) != b"?":
        why = child.stderr.read(_MAX_MESSAGE).decode("ascii", "replace").strip()
        code = next((code for code in errno.errorcode if why.endswith(os.strerror(code))), errno.EIO)
        raise OSError(code, f"unshare --user: {why.rpartition(': ')[2] or 'it ended'}")


# -- overlays ----------------------------------------------------------------------------------------------------


def mount_overlay(
    lowers: Sequence[str],
    upper: str | None,
    work: str | None,
    target: str,
    swap: tuple[int, int, int] | None,
) -> None:
    """Mount an overlay of `lowers` (top first), nosuid and nodev; read-only without `upper`.

    A writable one is mounted `volatile`: nothing in it is durable, fsync inside costs nothing, and unmounting
    does not flush. Whoever seals the layer syncs the file system it is on. `upper` and `work` must be in one
    directory tree that no other mount cuts.
    """
    if (upper is None) != (work is None):
        raise OSError(errno.EINVAL, "upper and work go together", target)
    namespace = swap_namespace(*swap) if swap is not None else None
    paths = [*lowers, *(path for path in (upper, work) if path is not None)]
    opened: list[int] = []
    try:
        if work is not None:
            _forgive(work)
        fds = _layer_fds(paths, namespace, opened)
        names = [f"/proc/self/fd/{fd}" for fd in fds]
        top = (names[-2], names[-1]) if upper is not None else None
        mount_id = _create_overlay(names[: len(lowers)], top, target)
    finally:
        for fd in opened:
            os.close(fd)
    _read_back(mount_id, target, len(lowers), upper is not None)


def _forgive(work: str) -> None:
    """Take away the mark that an earlier volatile mount left and that would make the kernel refuse this one.

    Right, because it guards against power cuts, and after one no unsealed layer is ever mounted again.
    """
    mark = os.path.join(work, "work", "incompat", "volatile")
    try:
        os.unlink(os.path.join(mark, "dirty"))
    except FileNotFoundError:
        return
    os.rmdir(mark)


def _layer_fds(paths: Sequence[str], namespace: int | None, opened: list[int]) -> list[int]:
    """A descriptor on each directory; with a namespace, on the directory in an idmapped clone of its mount.

    One clone serves all paths of one mount: clones are what a mount of many layers spends its time on.
    `opened` gets every descriptor that the caller has to close.
    """
    if namespace is None:
        opened.extend(os.open(path, kernel.PLACE) for path in paths)
        return list(opened)
    # By mount and not by device: one file system may be mounted in several places, with others between them.
    identities, mount_ids = zip(*(_identity(path) for path in paths), strict=True)
    clones: dict[int, tuple[int, str]] = {}
    for mount_id in dict.fromkeys(mount_ids):
        around = os.path.commonpath([path for path, of in zip(paths, mount_ids, strict=True) if of == mount_id])
        clones[mount_id] = (_idmapped_clone(around, namespace), around)
        opened.append(clones[mount_id][0])
    found = []
    for path, identity, mount_id in zip(paths, identities, mount_ids, strict=True):
        clone, around = clones[mount_id]
        fd = _open_inside(clone, path[len(around) :].lstrip("/") or ".")
        opened.append(fd)
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) != identity:
            raise OSError(errno.EXDEV, "another mount lies between this directory and the others", path)
        found.append(fd)
    return found


def _identity(path: str) -> tuple[tuple[int, int], int]:
    """Device and inode of the directory, and the id of the mount it is on."""
    found = ctypes.create_string_buffer(_STATX_BYTES)
    result = libc.statx(_AT_FDCWD, os.fsencode(path), _AT_SYMLINK_NOFOLLOW, _STATX_INO | _STATX_MNT_ID, found)
    kernel.check(result, "statx", path)
    (inode,) = struct.unpack_from("=Q", found, 32)
    major, minor, mount_id = struct.unpack_from("=IIQ", found, 136)
    return (os.makedev(major, minor), inode), mount_id


def _open_inside(clone: int, path: str) -> int:
    how = _OpenHow(kernel.PLACE, 0, _RESOLVE_NO_SYMLINKS | _RESOLVE_BENEATH)
    return syscall(kernel.OPENAT2, "openat2", clone, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))


def _idmapped_clone(path: str, namespace: int) -> int:
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_SYMLINK_NOFOLLOW
    fd = syscall(_OPEN_TREE, "open_tree", _AT_FDCWD, os.fsencode(path), flags)
    attributes = _MountAttr(_MOUNT_ATTR_IDMAP, 0, 0, namespace)
    size = ctypes.sizeof(attributes)
    try:
        syscall(_MOUNT_SETATTR, "mount_setattr", fd, b"", _AT_EMPTY_PATH, ctypes.byref(attributes), size)
    except OSError as error:
        os.close(fd)
        raise OSError(error.errno, f"{error.strerror} (the file system cannot map owners)", path) from error
    return fd


def _create_overlay(lowers: Sequence[str], top: tuple[str, str] | None, target: str) -> str:
    """Mount it; the mount's id, "" when the kernel is too old to tell."""
    context = syscall(_FSOPEN, "fsopen", b"overlay", 1)

    def configure(command: int, key: str, value: str | None) -> None:
        raw = value.encode() if value is not None else None
        syscall(_FSCONFIG, f"fsconfig({key})", context, command, key.encode() or None, raw, 0)

    try:
        try:
            for lower in lowers:
                configure(_SET_STRING, "lowerdir+", lower)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return _mount_old_way(lowers, top, target)  # Linux before 6.8
        if top is not None:
            configure(_SET_STRING, "upperdir", top[0])
            configure(_SET_STRING, "workdir", top[1])
            configure(_SET_FLAG, "volatile", None)
        for key, value in (("source", "sandstone"), *_OVERLAY_OPTIONS):
            configure(_SET_STRING, key, value)
        configure(_CMD_CREATE, "", None)
        attributes = _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV | (0 if top else _MOUNT_ATTR_RDONLY)
        mount_fd = syscall(_FSMOUNT, "fsmount", context, 1, attributes)
    finally:
        os.close(context)
    try:
        flags = _MOVE_MOUNT_F_EMPTY_PATH
        syscall(_MOVE_MOUNT, "move_mount", mount_fd, b"", _AT_FDCWD, os.fsencode(target), flags)
        return _mount_id(mount_fd)
    finally:
        os.close(mount_fd)


def _mount_id(fd: int) -> str:
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as info:
        return next((line.split()[1] for line in info if line.startswith("mnt_id:")), "")


def _mount_old_way(lowers: Sequence[str], top: tuple[str, str] | None, target: str) -> str:
    options = [f"lowerdir={':'.join(lowers)}", *(f"{key}={value}" for key, value in _OVERLAY_OPTIONS)]
    if top is not None:
        options += [f"upperdir={top[0]}", f"workdir={top[1]}", "volatile"]
    data = ",".join(options).encode()
    if len(data) > _PAGE_OPTIONS:
        raise OSError(errno.E2BIG, f"{len(lowers)} layers are more than mount(2) takes on this kernel", target)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | (0 if top else kernel.MS_RDONLY)
    kernel.mount("sandstone", target, "overlay", flags, data)
    return ""


def _read_back(mount_id: str, target: str, lowers: int, writable: bool) -> None:
    """Compare what is mounted with what was asked; what differs is unmounted again."""
    mounted = kernel.mount_of_id(mount_id) if mount_id else kernel.mount_at(target)
    options = mounted.options.split(",") if mounted is not None else []
    seen = sum(option.startswith("lowerdir+=") for option in options)
    if seen == 0:
        seen = sum(len(o.removeprefix("lowerdir=").split(":")) for o in options if o.startswith("lowerdir="))
    has_upper = any(option.startswith("upperdir=") for option in options)
    if mounted is None or mounted.type != "overlay" or seen != lowers or has_upper != writable:
        kernel.unmount(target)
        raise OSError(errno.EIO, f"the kernel mounted {seen} of {lowers} layers (upper: {has_upper})", target)


# -- opaque directories, and what only root may delete -------------------------------------------------------------


def opaque_directories(upper: str) -> list[bytes]:
    """Directories below `upper` that overlayfs marked opaque; links are never followed."""
    found: list[bytes] = []
    pending = [b""]
    root = os.open(upper, kernel.DIRECTORY)
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
    root = os.open(upper, kernel.DIRECTORY)
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
        try:
            below = os.open(part, kernel.DIRECTORY, dir_fd=fd)
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


def discard(path: str) -> None:
    """Delete the directory `path` and all that is in it, of any depth. EBUSY when something is mounted below it.

    Directories are moved up to the top one before they are emptied, so that two descriptors are enough.
    """
    if kernel.mount_at(path) is not None or kernel.mounts_below(path):
        raise OSError(errno.EBUSY, "something is mounted in it", path)
    top = os.open(path, kernel.DIRECTORY)
    prefix = b".discarded-" + os.urandom(8).hex().encode()
    moved = 0
    try:
        waiting = [b"."]
        while waiting:
            name = waiting.pop()
            fd = os.open(name, kernel.DIRECTORY, dir_fd=top)
            try:
                for entry in os.listdir(fd):
                    if not stat.S_ISDIR(os.stat(entry, dir_fd=fd, follow_symlinks=False).st_mode):
                        os.unlink(entry, dir_fd=fd)
                    elif name == b".":
                        waiting.append(os.fsencode(entry))
                    else:
                        moved += 1
                        waiting.append(b"%s-%d" % (prefix, moved))
                        os.rename(entry, waiting[-1], src_dir_fd=fd, dst_dir_fd=top)
            finally:
                os.close(fd)
            if name != b".":
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(path)


def probe() -> dict[str, bool]:
    """What of all this the host has; changes nothing. Needs CAP_SYS_ADMIN, without it all is False."""
    return {
        "overlay": _works(_probe_option, ("redirect_dir", "off")),
        "lowerdir+": _works(_probe_option, ("lowerdir+", "/")),
        "user_namespaces": _works(swap_namespace, 0, 0, 1),
        "loop_devices": os.path.exists("/dev/loop-control"),
    }


def _works(attempt: Callable[..., object], *arguments: object) -> bool:
    try:
        attempt(*arguments)
    except OSError:
        return False
    return True


def _probe_option(option: tuple[str, str]) -> None:
    context = syscall(_FSOPEN, "fsopen", b"overlay", 1)
    try:
        syscall(_FSCONFIG, "fsconfig", context, _SET_STRING, option[0].encode(), option[1].encode(), 0)
    finally:
        os.close(context)
