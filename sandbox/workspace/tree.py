"""Walking, scanning and deleting trees that hostile code wrote.

Rules: (1) nothing alive may still write to the tree; (2) everything is opened by `open_beneath` from
one trusted root; (3) only regular files are ever opened for reading; (4) names are bytes; (5) bounds
are checked while reading, and a tree that breaks one is refused by name; (6) no recursion, and a
number of descriptors that does not depend on the tree.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Container, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from sandbox.errors import TreeRefusedError
from sandbox.workspace.beneath import (
    DIRECTORY,
    LOOK,
    REGULAR,
    open_beneath,
    open_directory,
    open_regular,
    opened,
    read_regular,
)
from sandbox.workspace.display import display
from sandbox.workspace.manifest import Entry, EntryKind, Manifest, relink

__all__ = [
    "DEFAULT_LIMITS",
    "Found",
    "TreeLimits",
    "chmod_beneath",
    "digest_of",
    "entry_of",
    "open_beneath",
    "open_directory",
    "open_regular",
    "opened",
    "read_regular",
    "read_xattrs",
    "readable",
    "rmtree",
    "scan",
    "walk",
]

_CHUNK: Final = 1 << 20
_MOUNTED: Final = "something is mounted inside the tree"


@dataclass(frozen=True, slots=True)
class TreeLimits:
    """Bounds of a tree that is read. A tree at the bound is read, one beyond it is refused.

    entries: names in the tree. depth: parts of a path. path_bytes: length of a path.
    file_bytes: logical size of one file. total_bytes: logical sizes added up, every name of a
    hard-linked file counted. xattr_bytes: names and values of one entry's attributes.
    """

    entries: int = 200_000
    depth: int = 128
    path_bytes: int = 4095
    file_bytes: int = 1 << 30
    total_bytes: int = 4 << 30
    xattr_bytes: int = 64 << 10


DEFAULT_LIMITS: Final = TreeLimits()


class Found(NamedTuple):
    """One name met by `walk`; `directory_fd` and `name` are good until the next step only."""

    path: bytes
    directory_fd: int
    name: bytes
    stat: os.stat_result


# -- walking -------------------------------------------------------------------------------------


def walk(root_fd: int, limits: TreeLimits = DEFAULT_LIMITS) -> Generator[Found, None, None]:
    """Every name below `root_fd`, a directory before what is in it, in no particular order otherwise.

    A few descriptors are open at a time, however deep the tree is. As an ordinary user, directories that
    their owner may not read are opened up for the walk and get their mode back when it ends.
    Raises TreeRefusedError: a bound of `limits`, a mount inside the tree, or a directory that cannot be
    read or changed while it was.
    """
    device = os.fstat(root_fd).st_dev
    entries = total = 0
    opened_up: list[tuple[bytes, int]] = []
    pending: list[tuple[bytes, int]] = [(b"", 0)]
    try:
        while pending:
            for found in _inside(root_fd, *pending.pop()):
                status = found.stat
                entries += 1
                _check(found.path, entries, limits)
                if stat.S_ISDIR(status.st_mode):
                    if status.st_dev != device:
                        raise TreeRefusedError(display(found.path), _MOUNTED)
                    yield found
                    if _locked_out(status, 0o500):
                        opened_up.append((found.path, stat.S_IMODE(status.st_mode)))
                        chmod_beneath(root_fd, found.path, stat.S_IMODE(status.st_mode) | 0o500)
                    pending.append((found.path, status.st_ino))
                else:
                    if stat.S_ISREG(status.st_mode):
                        total += status.st_size
                        _check_size(found.path, status, total, limits)
                    yield found
    finally:
        while opened_up:  # innermost first: the way to them leads through the others
            chmod_beneath(root_fd, *opened_up.pop())


def _inside(root_fd: int, directory: bytes, inode: int) -> Iterator[Found]:
    """The names in one directory, which still is `inode` (0: whatever it is)."""
    fd = _open_to_walk(root_fd, directory, inode)
    prefix = directory + b"/" if directory else b""
    try:
        with os.scandir(fd) as names:
            for entry in names:
                name = os.fsencode(entry.name)
                yield Found(prefix + name, fd, name, os.stat(name, dir_fd=fd, follow_symlinks=False))
    finally:
        os.close(fd)


def _open_to_walk(root_fd: int, directory: bytes, inode: int) -> int:
    try:
        fd = open_beneath(root_fd, directory or b".", DIRECTORY)
    except OSError as error:
        reason = _MOUNTED if error.errno == errno.EXDEV else f"cannot be read: {error.strerror}"
        raise TreeRefusedError(display(directory), reason) from error
    if inode and os.fstat(fd).st_ino != inode:
        os.close(fd)
        raise TreeRefusedError(display(directory), "changed while it was read")
    return fd


def _check(path: bytes, entries: int, limits: TreeLimits) -> None:
    if entries > limits.entries:
        raise TreeRefusedError(display(path), f"more than {limits.entries} entries")
    if len(path) > limits.path_bytes:
        raise TreeRefusedError(display(path[:64]) + "...", f"path longer than {limits.path_bytes} bytes")
    if path.count(b"/") >= limits.depth:
        raise TreeRefusedError(display(path[:64]) + "...", f"deeper than {limits.depth} levels")


def _check_size(path: bytes, status: os.stat_result, total: int, limits: TreeLimits) -> None:
    if status.st_size > limits.file_bytes:
        found = f"{status.st_size}, {status.st_blocks * 512} on disk"
        raise TreeRefusedError(display(path), f"larger than {limits.file_bytes} bytes ({found})")
    if total > limits.total_bytes:
        raise TreeRefusedError(display(path), f"the tree has more than {limits.total_bytes} logical bytes")


def _locked_out(status: os.stat_result, needed: int) -> bool:
    """Whether the caller owns the entry and still lacks the owner's rights `needed`. Never true for root."""
    uid = os.geteuid()
    return uid != 0 and status.st_uid == uid and status.st_mode & needed != needed


def chmod_beneath(root_fd: int, path: bytes, mode: int) -> None:
    """Set the mode of an entry below `root_fd` that need not be readable; never through a link."""
    fd = open_beneath(root_fd, path, LOOK)
    try:
        os.chmod(f"/proc/self/fd/{fd}", mode)  # by the descriptor itself: fchmod refuses O_PATH
    finally:
        os.close(fd)


# -- scanning ------------------------------------------------------------------------------------


def scan(dir_fd: int, opaque: Container[bytes] = (), limits: TreeLimits = DEFAULT_LIMITS) -> Manifest:
    """The manifest of an overlay upper directory, or of a plain tree, with every ancestor of every entry.

    A character device 0:0 is a whiteout. Special files are recorded and never opened. The content of a
    hard-linked file is read once. `opaque` are directories known to be opaque; their mark is also read
    from the tree itself, which only root can see.
    Raises TreeRefusedError: a bound of `limits`, a mount inside, something unreadable or changing, or
    attributes that overlayfs would act upon and that no layer of ours has.
    """
    entries: list[Entry] = []
    names_of: dict[int, list[Entry]] = {}
    with closing(walk(dir_fd, limits)) as walking:
        for found in walking:
            inode, mode = found.stat.st_ino, found.stat.st_mode
            linked = stat.S_ISREG(mode) and found.stat.st_nlink > 1
            if linked and inode in names_of:
                names_of[inode].append(replace(names_of[inode][0], path=found.path))
                continue
            entry = _scanned(found, opaque, limits)
            if linked:
                names_of[inode] = [entry]
            else:
                entries.append(entry)
    entries.extend(relink(names_of.values()))
    return Manifest(entries)


_KIND_OF: Final = {
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.DIRECTORY,
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFIFO: EntryKind.FIFO,
    stat.S_IFSOCK: EntryKind.SOCKET,
    stat.S_IFCHR: EntryKind.CHARDEV,
    stat.S_IFBLK: EntryKind.BLOCKDEV,
}


def entry_of(path: bytes, status: os.stat_result) -> Entry:
    """The entry that a stat result tells: without digest, target, xattrs and opaqueness."""
    kind = _KIND_OF[stat.S_IFMT(status.st_mode)]
    if kind is EntryKind.CHARDEV and status.st_rdev == 0:
        return Entry(path, EntryKind.WHITEOUT)
    size = status.st_size if kind is EntryKind.FILE else 0
    return Entry(path, kind, stat.S_IMODE(status.st_mode), size, status.st_mtime_ns)


def _scanned(found: Found, opaque: Container[bytes], limits: TreeLimits) -> Entry:
    path, directory_fd, name, status = found
    kind = _KIND_OF[stat.S_IFMT(status.st_mode)]
    if kind is EntryKind.SYMLINK:
        return replace(entry_of(path, status), target=os.readlink(name, dir_fd=directory_fd))
    if kind is not EntryKind.FILE and kind is not EntryKind.DIRECTORY:
        return entry_of(path, status)
    mode = stat.S_IMODE(status.st_mode)
    with readable(found) as fd:
        xattrs, marked = read_xattrs(fd, path, limits)
        if kind is EntryKind.DIRECTORY:
            shut = marked or path in opaque
            return Entry(path, kind, mode, 0, status.st_mtime_ns, xattrs=xattrs, opaque=shut)
        digest = digest_of(fd, status.st_size, path)
        return Entry(path, kind, mode, status.st_size, status.st_mtime_ns, digest, xattrs=xattrs)


@contextmanager
def readable(found: Found) -> Iterator[int]:
    """The file or directory, open, and still the one that was met.

    Its owner may have been locked out (mode 000): let in for the moment of opening.
    """
    path, directory_fd, name, status = found
    is_directory = stat.S_ISDIR(status.st_mode)
    locked_out = _locked_out(status, 0o500 if is_directory else 0o400)
    mode = stat.S_IMODE(status.st_mode)
    try:
        if locked_out:
            chmod_beneath(directory_fd, name, mode | 0o500)
        try:
            fd = open_beneath(directory_fd, name, DIRECTORY if is_directory else REGULAR)
        finally:
            if locked_out:
                chmod_beneath(directory_fd, name, mode)
    except OSError as error:
        reason = _MOUNTED if error.errno == errno.EXDEV else f"cannot be read: {error.strerror}"
        raise TreeRefusedError(display(path), reason) from error
    try:
        now = os.fstat(fd)
        if now.st_ino != status.st_ino or stat.S_IFMT(now.st_mode) != stat.S_IFMT(status.st_mode):
            raise TreeRefusedError(display(path), "changed while it was read")
        yield fd
    finally:
        os.close(fd)


_OBEYED: Final = ("user.overlay.", "trusted.overlay.redirect", "trusted.overlay.metacopy")


def read_xattrs(
    fd: int, path: bytes, limits: TreeLimits = DEFAULT_LIMITS
) -> tuple[tuple[tuple[bytes, bytes], ...], bool]:
    """The `user.*` attributes of an open entry, sorted, and whether overlayfs marked it opaque.

    Raises TreeRefusedError: more than `limits.xattr_bytes`; `user.overlay.*`, which a mount with other
    options would obey; or marks of overlay features that our mounts turn off.
    """
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise TreeRefusedError(display(path), f"attributes cannot be read: {error.strerror}") from error
        names = []
    if not names:
        return (), False
    marked = False
    xattrs = []
    for name in names:
        if name.startswith(_OBEYED):
            raise TreeRefusedError(display(path), f"has the attribute {display(os.fsencode(name))}")
        if name.startswith("user."):
            xattrs.append((os.fsencode(name), os.getxattr(fd, name)))
        elif name == "trusted.overlay.opaque":
            marked = os.getxattr(fd, name) == b"y"
    if sum(len(name) + len(value) for name, value in xattrs) > limits.xattr_bytes:
        raise TreeRefusedError(display(path), f"more than {limits.xattr_bytes} bytes of attributes")
    return tuple(sorted(xattrs)), marked


def digest_of(fd: int, size: int, path: bytes) -> str:
    """sha256 (hex) of the `size` bytes of an open file.

    Raises TreeRefusedError: it has more or fewer bytes, so somebody changes it while it is read.
    """
    hasher = hashlib.sha256()
    seen = 0
    while chunk := os.read(fd, min(_CHUNK, size - seen + 1)):
        seen += len(chunk)
        hasher.update(chunk)
    if seen != size:
        raise TreeRefusedError(display(path), "changed while it was read")
    return hasher.hexdigest()


# -- deleting ------------------------------------------------------------------------------------


def rmtree(parent_fd: int, name: bytes) -> int:
    """Delete `name` in the directory `parent_fd`, whatever it is; returns how many names went.

    Any depth: it goes down and up again with two descriptors, and checks on the way up that it is where
    it came from. Nothing mounted is entered or deleted. Deleting what is not there is no error.
    Raises TreeRefusedError: a mount, or something that may not be deleted.
    """
    try:
        return _remove(parent_fd, name)
    except FileNotFoundError:
        return 0
    except OSError as error:
        mounted = error.errno in (errno.EXDEV, errno.EBUSY)
        reason = _MOUNTED if mounted else f"cannot be deleted: {error.strerror}"
        raise TreeRefusedError(display(name), reason) from error


class _Level(NamedTuple):
    """A directory on the way down: its name, the identity of the one it is in, directories still to go."""

    name: bytes
    above: tuple[int, int]
    waiting: list[bytes]


def _remove(parent_fd: int, name: bytes) -> int:
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=parent_fd)
        return 1
    current = os.dup(parent_fd)
    levels: list[_Level] = []
    removed = 0
    entering: bytes | None = name
    try:
        while entering is not None:
            above = _identity(current)
            current = _replaced(current, _enter(current, entering))
            gone, waiting = _clear(current)
            removed += gone
            levels.append(_Level(entering, above, waiting))
            while levels and not levels[-1].waiting:
                level = levels.pop()
                back = os.open(b"..", DIRECTORY, dir_fd=current) if levels else os.dup(parent_fd)
                current = _replaced(current, back)
                if _identity(current) != level.above:
                    raise TreeRefusedError(display(level.name), "was moved while it was deleted")
                os.rmdir(level.name, dir_fd=current)
                removed += 1
            entering = levels[-1].waiting.pop() if levels else None
    finally:
        os.close(current)
    return removed


def _replaced(old: int, new: int) -> int:
    os.close(old)
    return new


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _enter(directory_fd: int, name: bytes) -> int:
    """The directory, open, with its owner's rights on it given back."""
    if os.geteuid() != 0:
        status = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
        if status.st_mode & 0o700 != 0o700 and status.st_uid == os.geteuid():
            chmod_beneath(directory_fd, name, 0o700)
    return open_beneath(directory_fd, name, DIRECTORY)


def _clear(fd: int) -> tuple[int, list[bytes]]:
    """Delete all that is no directory; how many that were, and the directories that are left."""
    gone = 0
    directories = []
    with os.scandir(fd) as names:
        for found in names:
            if found.is_dir(follow_symlinks=False):
                directories.append(os.fsencode(found.name))
            else:
                os.unlink(found.name, dir_fd=fd)
                gone += 1
    return gone, directories
