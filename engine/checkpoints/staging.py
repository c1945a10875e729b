"""Makes what an apply brings in ready beside where it goes, under names that nobody else has.

Each file and link, and each new directory as a whole, gets a temporary name in the directory that it
will be in. Nothing that was there before is touched. All is on the disk when `stage` returns; contents
are compared with their digests while they are copied.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from engine.checkpoints.names import SYNC_ALL_FROM, directory_of, look, sync_file_system
from engine.checkpoints.operations import Action, Goal, Operation
from engine.errors import ApplyConflictError
from sandbox.errors import LayerCorruptError
from sandbox.failpoints import Failpoint
from sandbox.workspace.beneath import DIRECTORY, open_beneath
from sandbox.workspace.display import display
from sandbox.workspace.manifest import EntryKind, parent

Source = Callable[[Operation], Iterator[bytes]]
"""The content of an operation's new file, in chunks."""


class Point(Failpoint):
    """Where an apply, or its recovery, can be killed and must leave all or nothing: after ..."""

    RECORDED = "apply-recorded"
    STAGED_ONE = "apply-staged-one"
    STAGED = "apply-staged"
    SWAPPED_ONE = "apply-swapped-one"
    SWAPPED = "apply-swapped"
    COMMITTED = "apply-committed"
    DISCARDED_ONE = "apply-discarded-one"
    DISCARDED = "apply-discarded"
    DONE = "apply-done"
    TAKEN_BACK_ONE = "apply-taken-back-one"
    TAKEN_BACK = "apply-taken-back"
    FORGOTTEN = "apply-forgotten"


At = Callable[[Point], None]
"""Told of every point that is reached; tests die there."""


class PathFault(Exception):
    """The file system refused something at `path` of the user's directory, with `error`."""

    def __init__(self, path: bytes, error: OSError) -> None:
        super().__init__(f"{display(path)}: {error.strerror}")
        self.path = path
        self.error = error


@contextmanager
def naming(path: bytes) -> Iterator[None]:
    """Raises PathFault for every OSError of the block."""
    try:
        yield
    except OSError as error:
        raise PathFault(path, error) from error


def temporary(apply_id: str, index: int) -> bytes:
    """The name that operation number `index` uses beside its path."""
    return b".sandstone-%s-%d" % (apply_id.encode(), index)


def spare(name: bytes) -> bytes:
    """The second name beside a temporary one, see `names.exchange`."""
    return name + b"~"


def stage(root_fd: int, apply_id: str, operations: Sequence[Operation], source: Source, at: At) -> dict[bytes, int]:
    """Make everything ready; returns the inode of what was made for each top-level PLACE, by path.

    Raises LayerCorruptError, BackupCorruptError: a content is not what it should be. PathFault.
    What was made so far stays; `Swapper.take_back` removes it.
    """
    stager = _Stager(root_fd, apply_id, operations, source)
    inodes = {}
    for index, operation in enumerate(operations):
        if operation.action is Action.PLACE and operation.within is None:
            inodes[operation.path] = stager.make(index, operation)
            at(Point.STAGED_ONE)
    stager.settle()
    return inodes


class _Stager:
    def __init__(self, root_fd: int, apply_id: str, operations: Sequence[Operation], source: Source) -> None:
        self._root_fd = root_fd
        self._apply_id = apply_id
        self._source = source
        status = os.fstat(root_fd)
        self._owner = (status.st_uid, status.st_gid)
        self._inside: dict[bytes, list[Operation]] = {}
        for operation in operations:
            if operation.within is not None and operation.after is not None:
                self._inside.setdefault(operation.within, []).append(operation)
        files = sum(op.action is Action.PLACE for op in operations)
        self._sync_each = files < SYNC_ALL_FROM
        self._parents: set[bytes] = set()

    def make(self, index: int, operation: Operation) -> int:
        """One top-level PLACE; returns the inode."""
        name = temporary(self._apply_id, index)
        with naming(operation.path), directory_of(self._root_fd, operation.path) as (directory_fd, _):
            self._parents.add(parent(operation.path))
            if operation.after is None or operation.after.kind is not EntryKind.DIRECTORY:
                self._make_leaf(directory_fd, name, operation)
            else:
                self._make_directory(directory_fd, name, operation, operation.after)
            return os.stat(name, dir_fd=directory_fd, follow_symlinks=False).st_ino

    def _make_directory(self, parent_fd: int, name: bytes, operation: Operation, goal: Goal) -> None:
        os.mkdir(name, 0o700, dir_fd=parent_fd)
        top_fd = open_beneath(parent_fd, name, DIRECTORY)
        try:
            made = [(b".", operation)]
            for inner in self._inside.get(operation.path, ()):
                relative = inner.path[len(operation.path) + 1 :]
                with naming(inner.path), directory_of(top_fd, relative) as (inner_fd, inner_name):
                    if inner.after is not None and inner.after.kind is EntryKind.DIRECTORY:
                        os.mkdir(inner_name, 0o700, dir_fd=inner_fd)
                        made.append((relative, inner))
                    else:
                        self._make_leaf(inner_fd, inner_name, inner)
            for relative, inner in reversed(made):
                self._finish_directory(top_fd, relative, inner)
        finally:
            os.close(top_fd)

    def _finish_directory(self, top_fd: int, relative: bytes, operation: Operation) -> None:
        """Attributes last: what is made inside changes the times, and its mode may forbid making more."""
        goal = operation.after
        if goal is None:
            return
        fd = open_beneath(top_fd, relative, DIRECTORY)
        try:
            inherited = os.fstat(fd).st_mode & stat.S_ISGID
            self._own(fd, operation)
            os.fchmod(fd, goal.mode | inherited)
            if goal.mtime_ns is not None:
                os.utime(fd, ns=(goal.mtime_ns, goal.mtime_ns))
            if self._sync_each:
                os.fsync(fd)
        finally:
            os.close(fd)

    def _make_leaf(self, directory_fd: int, name: bytes, operation: Operation) -> None:
        goal = operation.after
        if goal is None:
            return
        if goal.kind is EntryKind.SYMLINK:
            os.symlink(goal.target, name, dir_fd=directory_fd)
            self._own_link(directory_fd, name, operation)
            if goal.mtime_ns is not None:
                times = (goal.mtime_ns, goal.mtime_ns)
                os.utime(name, ns=times, dir_fd=directory_fd, follow_symlinks=False)
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        fd = open_beneath(directory_fd, name, flags, 0o600)
        try:
            _copy(fd, operation.path, goal, self._source(operation))
            self._own(fd, operation)
            os.fchmod(fd, goal.mode)
            if goal.mtime_ns is not None:
                os.utime(fd, ns=(goal.mtime_ns, goal.mtime_ns))
            if self._sync_each:
                os.fsync(fd)
        finally:
            os.close(fd)

    def _own(self, fd: int, operation: Operation) -> None:
        wanted = self._owner_of(operation)
        status = os.fstat(fd)
        if wanted != (status.st_uid, status.st_gid):
            _give(lambda uid, gid: os.fchown(fd, uid, gid), wanted)

    def _own_link(self, directory_fd: int, name: bytes, operation: Operation) -> None:
        status = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
        wanted = self._owner_of(operation)
        if wanted != (status.st_uid, status.st_gid):
            _give(lambda uid, gid: os.chown(name, uid, gid, dir_fd=directory_fd, follow_symlinks=False), wanted)

    def _owner_of(self, operation: Operation) -> tuple[int, int]:
        if operation.after is not None and operation.after.owner is not None:
            return operation.after.owner
        if operation.before is not None:
            return operation.before.uid, operation.before.gid
        return self._owner

    def settle(self) -> None:
        """Everything made is on the disk afterwards."""
        settle(self._root_fd, self._parents, everything=not self._sync_each)


def settle(root_fd: int, directories: Iterable[bytes], *, everything: bool = False) -> None:
    """Make the names in these directories last; with `everything`, all of the file system's content.

    Raises PathFault.
    """
    paths = sorted(set(directories))
    if everything or len(paths) >= SYNC_ALL_FROM:
        with naming(b""):
            sync_file_system(root_fd)
        return
    for path in paths:
        with naming(path):
            fd = open_beneath(root_fd, path or b".", DIRECTORY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def _give(chown: Callable[[int, int], None], wanted: tuple[int, int]) -> None:
    """Only root can give a file away; an ordinary user can at most pass on one of their groups."""
    if os.geteuid() == 0:
        chown(*wanted)
        return
    try:
        chown(-1, wanted[1])
    except PermissionError:
        return  # a group that the user is not in: the file has the user's own, as any new file


def _copy(fd: int, path: bytes, goal: Goal, chunks: Iterator[bytes]) -> None:
    hasher = hashlib.sha256()
    size = 0
    for chunk in chunks:
        hasher.update(chunk)
        size += len(chunk)
        if size > goal.size:
            break
        view = memoryview(chunk)
        while view:
            view = view[os.write(fd, view) :]
    if size != goal.size or hasher.hexdigest() != goal.digest:
        raise LayerCorruptError(display(path), "its content is not what was recorded")


def refuse_folded(
    root_fd: int, apply_id: str, operations: Sequence[Operation], collisions: Iterable[Sequence[bytes]]
) -> None:
    """Raises ApplyConflictError: the file system takes names of one group for the same.

    Preconditions: `stage` has run; its temporary names are what is looked up in capitals.
    """
    indexes = {operation.path: index for index, operation in enumerate(operations)}
    for group in collisions:
        index = indexes[group[0]]
        if operations[index].within is not None:
            continue  # in a new directory the second name could not have been made
        with naming(group[0]), directory_of(root_fd, group[0]) as (directory_fd, _):
            if look(directory_fd, temporary(apply_id, index).upper()) is not None:
                reason = f"is the same name as {display(group[1])} on this file system"
                raise ApplyConflictError([(display(group[0]), reason)])
