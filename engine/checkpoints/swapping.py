"""Puts what was staged in its place, and takes it back out again: the part of an apply that can be undone
at any moment.

Before the commit point everything that was replaced still exists, under the temporary name of its
operation: taking back needs no copy and no room. What tells new from old after a crash are the inodes of
what was staged, written down before the first swap. A file that the user changed since is never
overwritten: what is the user's stays, and what would have come back is in the backup.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.checkpoints.baseline import Seen, observe
from engine.checkpoints.names import (
    change_mode,
    directory_of,
    exchange,
    look,
    move,
    straighten,
)
from engine.checkpoints.operations import Action, Operation
from engine.checkpoints.staging import At, Point, naming, settle, spare, temporary
from engine.errors import ApplyConflictError
from sandbox.errors import PathRefusedError, TreeRefusedError
from sandbox.workspace.beneath import DIRECTORY, open_beneath
from sandbox.workspace.display import display
from sandbox.workspace.manifest import EntryKind, parent
from sandbox.workspace.tree import rmtree, walk

_WAY_IS_GONE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_LATE: Final = "was changed while it was applied"


@dataclass(frozen=True, slots=True)
class Stayed:
    """Something of the user's that was left as it is, and why."""

    path: bytes
    reason: str


class Swapper:
    """Carries out operations, or takes them back, in one directory.

    inodes: what was staged, by path; None when no swap can have happened.
    """

    def __init__(
        self,
        root_fd: int,
        apply_id: str,
        operations: Sequence[Operation],
        inodes: Mapping[bytes, int] | None,
        at: At,
    ) -> None:
        self._root_fd = root_fd
        self._apply_id = apply_id
        self._operations = operations
        self._inodes = inodes
        self._at = at
        self._inside: dict[bytes, list[Operation]] = {}
        for operation in operations:
            if operation.within is not None:
                self._inside.setdefault(operation.within, []).append(operation)

    # -- forward ---------------------------------------------------------------------------------

    def open_up(self) -> None:
        """Give directories those rights of their owner that staging and swapping may need. Raises as `swap`."""
        for index, operation in self._tops():
            if _opens_up(operation) or _is_shut(operation):
                self._do(index, operation)

    def swap(self) -> None:
        """Make all operations visible but those of `_is_late`.

        Raises ApplyConflictError: something is not what it was when the apply was planned. PathFault.
        After either `take_back` brings everything back.
        """
        for index, operation in self._tops():
            if not _opens_up(operation) and not _is_late(operation):
                self._do(index, operation)
        self._settle()

    def _do(self, index: int, operation: Operation) -> None:
        with naming(operation.path), directory_of(self._root_fd, operation.path) as (fd, name):
            try:
                self._swap_one(fd, name, temporary(self._apply_id, index), operation)
            except (FileExistsError, FileNotFoundError) as error:
                raise ApplyConflictError([(display(operation.path), _LATE)]) from error
        self._at(Point.SWAPPED_ONE)

    def _swap_one(self, fd: int, name: bytes, staged: bytes, operation: Operation) -> None:
        match operation.action:
            case Action.PLACE if operation.before is None:
                move(fd, staged, name)
            case Action.PLACE:
                self._check_untouched(fd, name, operation)
                exchange(fd, staged, name, spare(staged))
                self._check_displaced(fd, staged, operation)
            case Action.REMOVE:
                self._check_untouched(fd, name, operation)
                move(fd, name, staged)
                self._check_displaced(fd, staged, operation)
            case Action.CHMOD:
                self._check_untouched(fd, name, operation)
                self._change_mode(fd, name, operation)
            case Action.RMDIR:
                if operation.before is not None:
                    self._check_untouched(fd, name, operation)
                    change_mode(fd, name, operation.before.mode | stat.S_IRWXU)

    def _change_mode(self, fd: int, name: bytes, operation: Operation) -> None:
        if operation.after is None:
            return
        inherited = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode & stat.S_ISGID
        keep = inherited if operation.after.kind is EntryKind.DIRECTORY else 0
        change_mode(fd, name, operation.after.mode | keep)

    def _check_untouched(self, fd: int, name: bytes, operation: Operation) -> None:
        """The last look before something moves; the one with the time that only the kernel sets."""
        before, now = operation.before, look(fd, name)
        touched = not _is_still(before, now)
        if before is not None and now is not None and before.kind is EntryKind.FILE and before.links == 1:
            touched = touched or now.st_ctime_ns != before.ctime_ns
        if touched:
            raise ApplyConflictError([(display(operation.path), _LATE)])

    def _check_displaced(self, fd: int, name: bytes, operation: Operation) -> None:
        """What was moved aside is what was planned for, and so is in the backup."""
        if not self._is_backed_up(fd, name, operation):
            raise ApplyConflictError([(display(operation.path), _LATE)])

    def _is_backed_up(self, fd: int, name: bytes, operation: Operation) -> bool:
        before = operation.before
        if not _is_still(before, look(fd, name)):
            return False
        if before is None or before.kind is not EntryKind.DIRECTORY:
            return True
        expected = {
            inner.path[len(operation.path) + 1 :]: inner.before
            for inner in self._inside.get(operation.path, ())
            if inner.before is not None
        }
        return _holds(fd, name, expected)

    # -- back ------------------------------------------------------------------------------------

    def take_back(self) -> list[Stayed]:
        """Bring everything back to what it was, and remove what was staged. Idempotent.

        Raises PathFault: the file system refuses; to be tried again. TreeRefusedError likewise.
        """
        stayed: list[Stayed] = []
        for index, operation in reversed(self._tops()):
            staged = temporary(self._apply_id, index)
            with naming(operation.path):
                try:
                    with directory_of(self._root_fd, operation.path) as (fd, name):
                        stayed += self._take_back_one(fd, name, staged, operation)
                except OSError as error:
                    if error.errno not in _WAY_IS_GONE:
                        raise
                    stayed.append(Stayed(operation.path, "its directory is not there any more"))
            self._at(Point.TAKEN_BACK_ONE)
        self._settle()
        return stayed

    def _take_back_one(self, fd: int, name: bytes, staged: bytes, operation: Operation) -> list[Stayed]:
        if operation.action in (Action.CHMOD, Action.RMDIR):
            self._take_back_mode(fd, name, operation)
            return []
        straighten(fd, staged, name, spare(staged))
        aside = look(fd, staged)
        if operation.action is Action.REMOVE:
            return [] if aside is None else self._bring_back(fd, name, staged, operation)
        if aside is None:
            return self._take_out(fd, name, staged, operation)
        if self._inodes is None or aside.st_ino == self._inodes.get(operation.path):
            rmtree(fd, staged)
            return []
        return self._bring_back(fd, name, staged, operation)

    def _take_back_mode(self, fd: int, name: bytes, operation: Operation) -> None:
        now, before, after = look(fd, name), operation.before, operation.after
        if now is None or before is None or now.st_ino != before.inode:
            return
        ours = before.mode | stat.S_IRWXU if after is None else after.mode
        if stat.S_IMODE(now.st_mode) & ~stat.S_ISGID == ours & ~stat.S_ISGID:
            change_mode(fd, name, before.mode)

    def _take_out(self, fd: int, name: bytes, staged: bytes, operation: Operation) -> list[Stayed]:
        """Remove what was moved to a name that nothing had, unless it is the user's by now."""
        now = look(fd, name)
        if operation.before is not None or self._inodes is None or now is None:
            return []
        if now.st_ino != self._inodes.get(operation.path):
            return []
        if not self._is_pristine(operation):
            return [Stayed(operation.path, "was changed since; it stays")]
        move(fd, name, staged)
        rmtree(fd, staged)
        return []

    def _bring_back(self, fd: int, name: bytes, aside: bytes, operation: Operation) -> list[Stayed]:
        """`aside` is what the path had."""
        now = look(fd, name)
        if now is None:
            move(fd, aside, name)
            return []
        ours = self._inodes is not None and now.st_ino == self._inodes.get(operation.path)
        if ours and self._is_pristine(operation):
            exchange(fd, aside, name, spare(aside))
            rmtree(fd, aside)
            return []
        return [self._set_aside(fd, name, aside, operation)]

    def _set_aside(self, fd: int, name: bytes, aside: bytes, operation: Operation) -> Stayed:
        """The path has something newer of the user's: what was there before goes, if it is in the backup."""
        if self._is_backed_up(fd, aside, operation):
            rmtree(fd, aside)
            return Stayed(operation.path, "was changed since; it stays, what was there before is in the backup")
        kept = name[:200] + b".before-" + self._apply_id.encode()
        move(fd, aside, kept)
        return Stayed(operation.path, f"was changed since; what was there before is {display(kept)} beside it")

    def _is_pristine(self, operation: Operation) -> bool:
        """Whether the path has exactly what the operation put there."""
        try:
            for placed in [operation, *self._inside.get(operation.path, ())]:
                if placed.after is not None and not placed.after.is_met_by(observe(self._root_fd, placed.path)):
                    return False
        except PathRefusedError:
            return False
        if operation.after is None or operation.after.kind is not EntryKind.DIRECTORY:
            return True
        inner = {op.path[len(operation.path) + 1 :] for op in self._inside.get(operation.path, ())}
        with directory_of(self._root_fd, operation.path) as (fd, name):
            return _names_in(fd, name) == inner

    # -- after the commit point ------------------------------------------------------------------

    def discard(self) -> list[Stayed]:
        """Remove what was replaced, and do what is `_is_late`. Idempotent.

        A directory that is to go and is not empty stays.

        Raises PathFault, TreeRefusedError: to be tried again.
        """
        for index, operation in self._tops():
            if operation.action in (Action.PLACE, Action.REMOVE) and operation.before is not None:
                with naming(operation.path):
                    self._discard_one(operation, temporary(self._apply_id, index))
                self._at(Point.DISCARDED_ONE)
        stayed = []
        for _, operation in reversed(self._tops()):
            if not _is_late(operation):
                continue
            if operation.action is Action.CHMOD:
                self._chmod_late(operation)
            elif not self._rmdir(operation):
                stayed.append(Stayed(operation.path, "is not empty; it stays"))
            self._at(Point.DISCARDED_ONE)
        self._settle()
        return stayed

    def _chmod_late(self, operation: Operation) -> None:
        with naming(operation.path):
            try:
                with directory_of(self._root_fd, operation.path) as (fd, name):
                    if _is_still(operation.before, look(fd, name)):
                        self._change_mode(fd, name, operation)
            except OSError as error:
                if error.errno not in _WAY_IS_GONE:
                    raise

    def _discard_one(self, operation: Operation, aside: bytes) -> None:
        try:
            with directory_of(self._root_fd, operation.path) as (fd, _):
                rmtree(fd, aside)
        except OSError as error:
            if error.errno not in _WAY_IS_GONE:
                raise

    def _rmdir(self, operation: Operation) -> bool:
        """Whether the directory is gone."""
        with naming(operation.path):
            try:
                with directory_of(self._root_fd, operation.path) as (fd, name):
                    os.rmdir(name, dir_fd=fd)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
                    self._shut_again(operation)
                    return False
                if error.errno not in _WAY_IS_GONE:
                    raise
        return True

    def _shut_again(self, operation: Operation) -> None:
        if _is_shut(operation):
            with directory_of(self._root_fd, operation.path) as (fd, name):
                self._take_back_mode(fd, name, operation)

    # -- both ------------------------------------------------------------------------------------

    def _tops(self) -> list[tuple[int, Operation]]:
        return [(index, op) for index, op in enumerate(self._operations) if op.within is None]

    def _settle(self) -> None:
        """Make all names last, in those directories that are (still) there."""
        directories = {parent(operation.path) for _, operation in self._tops()}
        present = [path for path in directories if not path or self._is_directory(path)]
        settle(self._root_fd, present)

    def _is_directory(self, path: bytes) -> bool:
        try:
            os.close(open_beneath(self._root_fd, path, DIRECTORY))
        except OSError as error:
            if error.errno in _WAY_IS_GONE:
                return False
            raise
        return True


def _is_directory_mode(operation: Operation) -> bool:
    after = operation.after
    return operation.action is Action.CHMOD and after is not None and after.kind is EntryKind.DIRECTORY


def _opens_up(operation: Operation) -> bool:
    """Whether a directory gets back rights of its owner that the other operations may need."""
    if not _is_directory_mode(operation) or operation.before is None or operation.after is None:
        return False
    return bool(operation.after.mode & ~operation.before.mode & stat.S_IRWXU)


def _is_shut(operation: Operation) -> bool:
    """Whether a directory is to go that its owner may not empty."""
    before = operation.before
    return operation.action is Action.RMDIR and before is not None and before.mode & stat.S_IRWXU != stat.S_IRWXU


def _is_late(operation: Operation) -> bool:
    """Whether it is done after the commit point: it may stand in the way of the rest, or the rest in its.

    That is removing directories, and modes of directories that do not give their owner more rights.
    """
    return operation.action is Action.RMDIR or (_is_directory_mode(operation) and not _opens_up(operation))


def _is_still(before: Seen | None, now: os.stat_result | None) -> bool:
    """Whether the entry that was planned for is what is there; a rename changes none of this."""
    if before is None or now is None:
        return False
    if stat.S_ISDIR(now.st_mode) or before.kind is EntryKind.DIRECTORY:
        return before.kind is EntryKind.DIRECTORY and now.st_ino == before.inode and stat.S_ISDIR(now.st_mode)
    then = (before.inode, before.mtime_ns, before.mode)
    same = then == (now.st_ino, now.st_mtime_ns, stat.S_IMODE(now.st_mode))
    return same and (before.kind is not EntryKind.FILE or before.size == now.st_size)


def _holds(fd: int, name: bytes, expected: Mapping[bytes, Seen]) -> bool:
    """Whether the directory has exactly these entries, unchanged."""
    met = 0
    directory_fd = open_beneath(fd, name, DIRECTORY)
    try:
        for found in walk(directory_fd):
            if not _is_still(expected.get(found.path), found.stat):
                return False
            met += 1
    except TreeRefusedError:
        return False  # it outgrew every bound since it was planned for, or something is mounted in it
    finally:
        os.close(directory_fd)
    return met == len(expected)


def _names_in(fd: int, name: bytes) -> set[bytes]:
    directory_fd = open_beneath(fd, name, DIRECTORY)
    try:
        return {found.path for found in walk(directory_fd)}
    finally:
        os.close(directory_fd)
