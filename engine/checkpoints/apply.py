"""Brings the changes of an execution into the user's directory, all or nothing, and takes them back.

The order, and what a kill leaves to the next command: plan (nothing), back up what will be replaced
(nothing), write the intent (nothing), stage everything beside its place (temporary names, removed),
swap it in (taken back), write the commit file (finished), discard what was replaced, write `done`.
`recover` does the taking back and the finishing; it can itself be killed at any point.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from engine.checkpoints.backing import RESERVE_BYTES, back_up, check_room
from engine.checkpoints.baseline import Baseline, Root, Seen, current_boot_id, observe
from engine.checkpoints.contents import ContentStore
from engine.checkpoints.operations import Action, Operation
from engine.checkpoints.planning import (
    ApplyOptions,
    ApplyPlan,
    Blocked,
    Current,
    Note,
    paths_of_interest,
    plan_apply,
    plan_undo,
)
from engine.checkpoints.protected import METADATA
from engine.checkpoints.records import ApplyKind, ApplyRecords, ApplyState, Intent
from engine.checkpoints.recovery import Outcome, recover_one
from engine.checkpoints.staging import At, PathFault, Point, Source, refuse_folded, stage
from engine.checkpoints.swapping import Stayed, Swapper
from engine.clock import Clock, SystemClock
from engine.errors import (
    ApplyConflictError,
    ApplyInterruptedError,
    EngineError,
    EnvironmentUnfitError,
    NotFoundError,
)
from sandbox.errors import HostDiskFullError, PathRefusedError, SandboxError, TreeRefusedError
from sandbox.failpoints import reached
from sandbox.workspace.beneath import opened
from sandbox.workspace.changes import BaseTree, Change, Tree
from sandbox.workspace.display import display
from sandbox.workspace.manifest import EntryKind

_CHUNK: Final = 1 << 20
_STUCK: Final = "an earlier apply was cut short and cannot be finished or taken back: "
_WAY_IS_GONE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV)


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What was done, or with `dry_run` would be. id: of the apply, for undo; None when nothing was to do.

    stayed: what turned out to be the user's own and was left as it is. notes: see `NoteKind`.
    """

    id: str | None
    project: Path
    dry_run: bool
    added: tuple[bytes, ...]
    modified: tuple[bytes, ...]
    deleted: tuple[bytes, ...]
    notes: tuple[Note, ...]
    stayed: tuple[Stayed, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where applied changes come from; "" when not known."""

    execution_id: str = ""
    checkpoint: str = ""


DEFAULT_OPTIONS: Final = ApplyOptions()


class Applier:
    """Applies to any number of projects, with the records and backups of one home directory. Blocking.

    at: is told of every point that an apply reaches.
    """

    def __init__(self, home: Path, clock: Clock | None = None, at: At = reached) -> None:
        self._records = ApplyRecords(home)
        self._contents = ContentStore(home / "backups")
        self._clock = clock or SystemClock()
        self._at = at

    # -- applying --------------------------------------------------------------------------------

    def plan(self, project: Path, changes: Sequence[Change], baseline: Baseline, options: ApplyOptions) -> ApplyPlan:
        """What `apply` would do. Writes nothing.

        Raises ApplyConflictError: `project` is not the directory that the execution started from.
        TreeRefusedError: it is no directory. ValueError: a pattern of `options.allow` is none.
        """
        with opened(project) as root_fd:
            return self._plan(root_fd, project, changes, baseline, options)

    def apply(
        self,
        project: Path,
        changes: Sequence[Change],
        new: Tree,
        baseline: Baseline,
        options: ApplyOptions = DEFAULT_OPTIONS,
        origin: Origin = Origin(),
    ) -> ApplyReport:
        """Bring `changes`, whose contents are in `new`, into `project`. All of them or, on any error, none.

        Only paths of `changes` are touched. Files get the time of writing, so that build tools notice.

        Raises:
          ApplyConflictError, ApplyRefusedError: see `planning`. LayerCorruptError: a content is not what
          was recorded. HostDiskFullError, EnvironmentUnfitError: the file system refuses.
          StoreBusyError: another apply works on the project. ApplyInterruptedError: this apply was cut
          short and waits for `recover`, or an earlier one was and `changes` must be found out again; the
          text says which.
        """
        with self._locked(project) as (root_fd, recovered):
            if recovered:
                reason = "an earlier apply had been cut short; that is put right now: apply again"
                raise ApplyInterruptedError(display(os.fsencode(project)), reason)
            plan = self._plan(root_fd, project, changes, baseline, options)
            plan.check()
            source = _contents_of(new)
            intent = self._intent(root_fd, ApplyKind.APPLY, project, plan, origin, None)
            return self._carry_out(root_fd, intent, plan, source)

    def _plan(
        self,
        root_fd: int,
        project: Path,
        changes: Sequence[Change],
        baseline: Baseline,
        options: ApplyOptions,
    ) -> ApplyPlan:
        if not baseline.root.is_same(os.fstat(root_fd), current_boot_id()):
            reason = "is not the directory that the execution started from"
            raise ApplyConflictError([(display(os.fsencode(project)), reason)])
        current = look_at(root_fd, paths_of_interest(changes))
        return plan_apply(changes, baseline, current, options, lambda limit: count_files(project, limit))

    # -- undoing ---------------------------------------------------------------------------------

    def last(self, execution_id: str) -> str:
        """The execution's latest apply that is not undone. Raises NotFoundError: there is none."""
        intents = [self._records.load(name) for name in self._records.ids()]
        undone = {intent.of for intent in intents if intent.kind is ApplyKind.UNDO}
        for intent in reversed(intents):
            mine = intent.kind is ApplyKind.APPLY and intent.execution_id == execution_id
            if mine and intent.id not in undone:
                return intent.id
        why = "it was never applied, or what was applied is undone already"
        text = f"there is no apply of execution {execution_id} to undo: {why}"
        raise NotFoundError("apply to undo", execution_id, message=text)

    def report(self, apply_id: str) -> ApplyReport:
        """What an apply, or an undoing, did, as its record has it: without notes. Raises NotFoundError."""
        intent = self._records.load(apply_id)
        return _report_of(intent.id, intent.project, intent.operations, (), dry_run=False)

    def undo(
        self,
        apply_id: str,
        options: ApplyOptions = DEFAULT_OPTIONS,
        *,
        dry_run: bool = False,
    ) -> ApplyReport:
        """Take a whole apply back: contents, modes, links, times and what was deleted. All or nothing.

        Raises as `apply`, but nothing is refused; NotFoundError: no such apply; BackupCorruptError.
        """
        return self._take_back(apply_id, None, options, dry_run=dry_run)

    def restore(
        self,
        apply_id: str,
        paths: Sequence[bytes],
        options: ApplyOptions = DEFAULT_OPTIONS,
    ) -> ApplyReport:
        """Take back what an apply did at and below `paths`. Raises as `undo`; NotFoundError: not in it."""
        return self._take_back(apply_id, paths, options, dry_run=False)

    def _take_back(
        self, apply_id: str, paths: Sequence[bytes] | None, options: ApplyOptions, *, dry_run: bool
    ) -> ApplyReport:
        with self._contents.keeping():  # what is restored is not swept away meanwhile
            return self._take_back_kept(apply_id, paths, options, dry_run=dry_run)

    def _take_back_kept(
        self, apply_id: str, paths: Sequence[bytes] | None, options: ApplyOptions, *, dry_run: bool
    ) -> ApplyReport:
        done = self._records.load(apply_id)
        if self._records.state(apply_id) is not ApplyState.DONE:
            raise ApplyInterruptedError(apply_id, "is not finished, so it cannot be undone")
        operations = done.operations if paths is None else _at_and_around(done.operations, paths)
        with self._locked(done.project) as (root_fd, _):
            if not done.root.is_same(os.fstat(root_fd), current_boot_id()):
                reason = "is not the directory that was applied to"
                raise ApplyConflictError([(display(os.fsencode(done.project)), reason)])
            plan = plan_undo(operations, look_at(root_fd, [op.path for op in operations]), options)
            plan.check()
            if dry_run:
                return _report(None, done.project, plan, dry_run=True)
            kind = ApplyKind.UNDO if paths is None else ApplyKind.RESTORE
            origin = Origin(done.execution_id, done.checkpoint)
            intent = self._intent(root_fd, kind, done.project, plan, origin, apply_id)
            return self._carry_out(root_fd, intent, plan, self._kept)

    def _kept(self, operation: Operation) -> Iterator[bytes]:
        return self._contents.read(operation.after.digest if operation.after is not None else "")

    # -- carrying out ----------------------------------------------------------------------------

    @contextmanager
    def _locked(self, project: Path) -> Iterator[tuple[int, bool]]:
        """The project's directory, for us alone, with nothing of an earlier apply left to do; and whether
        there was, so that what the caller knows of the directory is not true any more."""
        with opened(project) as root_fd:
            status = os.fstat(root_fd)
            with self._records.project_locked(status.st_dev, status.st_ino):
                unfinished = [i for i in self._records.ids() if self._records.state(i) is not ApplyState.DONE]
                recovered = [self._finish_earlier(root_fd, apply_id) for apply_id in unfinished]
                yield root_fd, any(recovered)

    def _finish_earlier(self, root_fd: int, apply_id: str) -> bool:
        """Whether it was an apply to this directory."""
        intent = self._records.load(apply_id)
        if not intent.root.is_same(os.fstat(root_fd), current_boot_id()):
            return False
        found = recover_one(self._records, intent, root_fd, self._at)
        if found is not None and found.outcome is Outcome.STUCK:
            raise ApplyInterruptedError(apply_id, _STUCK + found.reason)
        return found is not None

    def _intent(
        self, root_fd: int, kind: ApplyKind, project: Path, plan: ApplyPlan, origin: Origin, of: str | None
    ) -> Intent:
        now = self._clock.now()
        status = os.fstat(root_fd)
        return Intent(
            id=f"{int(now.timestamp() * 1000):012x}-{secrets.token_hex(3)}",
            kind=kind,
            project=project,
            root=Root(status.st_dev, status.st_ino, 0, current_boot_id()),
            execution_id=origin.execution_id,
            checkpoint=origin.checkpoint,
            of=of,
            create_time=now,
            operations=plan.operations,
        )

    def _carry_out(self, root_fd: int, intent: Intent, plan: ApplyPlan, source: Source) -> ApplyReport:
        if not plan.operations:
            return _report(None, intent.project, plan, dry_run=False)
        check_room(root_fd, self._contents, plan.operations)
        with self._contents.keeping():
            back_up(root_fd, self._contents, plan.operations)
            try:
                self._records.create(intent)
            except OSError as error:
                raise _explained(self._in_home(error), root_fd) from error
        self._at(Point.RECORDED)
        swapper = self._swap(root_fd, intent, plan, source)
        stayed = self._finish(intent.id, swapper)
        report = _report(intent.id, intent.project, plan, dry_run=False)
        return replace(report, stayed=tuple(stayed))

    def _swap(self, root_fd: int, intent: Intent, plan: ApplyPlan, source: Source) -> Swapper:
        """Up to and with the commit point; on any error everything is as it was."""
        swapper = Swapper(root_fd, intent.id, plan.operations, None, self._at)
        try:
            swapper.open_up()
            inodes = stage(root_fd, intent.id, plan.operations, source, self._at)
            refuse_folded(root_fd, intent.id, plan.operations, plan.collisions)
            self._records.set_staged(intent.id, inodes)
            swapper = Swapper(root_fd, intent.id, plan.operations, inodes, self._at)
            self._at(Point.STAGED)
            swapper.swap()
            self._at(Point.SWAPPED)
            self._records.commit(intent.id)
        except BaseException as error:
            if isinstance(error, Exception) and self._records.state(intent.id) is ApplyState.COMMITTED:
                reason = f"everything is applied, but it is not sure that this survives a power cut: {error}"
                raise ApplyInterruptedError(intent.id, reason) from error
            if self._records.state(intent.id) is ApplyState.COMMITTED:
                raise
            self._abandon(intent.id, swapper)
            if isinstance(error, OSError):
                error = self._in_home(error)
            if isinstance(error, PathFault):
                raise _explained(error, root_fd) from error
            raise
        self._at(Point.COMMITTED)
        return swapper

    def _in_home(self, error: OSError) -> PathFault:
        return PathFault(os.fsencode(self._records.directory), error)

    def _abandon(self, apply_id: str, swapper: Swapper) -> None:
        failed = "the apply failed and could not be taken back yet: "
        try:
            swapper.take_back()
            self._records.forget(apply_id)
        except PathFault as fault:
            raise ApplyInterruptedError(display(fault.path), failed + str(fault.error.strerror)) from fault
        except (OSError, SandboxError) as error:
            raise ApplyInterruptedError(apply_id, failed + str(error)) from error

    def _finish(self, apply_id: str, swapper: Swapper) -> list[Stayed]:
        failed = "everything is applied, but what was replaced is not all removed yet: "
        try:
            stayed = swapper.discard()
            self._at(Point.DISCARDED)
            self._records.finish(apply_id, stayed)
        except PathFault as fault:
            raise ApplyInterruptedError(display(fault.path), failed + str(fault.error.strerror)) from fault
        except (OSError, TreeRefusedError) as error:
            raise ApplyInterruptedError(apply_id, failed + str(error)) from error
        self._at(Point.DONE)
        return stayed


def _contents_of(tree: Tree) -> Source:
    def read(operation: Operation) -> Iterator[bytes]:
        fd = tree.open_file(operation.path)
        try:
            while chunk := os.read(fd, _CHUNK):
                yield chunk
        finally:
            os.close(fd)

    return read


def look_at(root_fd: int, paths: Sequence[bytes]) -> Current:
    """What the directory has at `paths` now, contents read."""
    current: dict[bytes, Seen | Blocked | None] = {}
    for path in paths:
        try:
            current[path] = observe(root_fd, path)
        except PathRefusedError as error:
            current[path] = Blocked(error.reason)
    return current


def count_files(project: Path, limit: int) -> int:
    """How many files and links the project has, counted up to `limit`; metadata of version control is not."""
    found = 0
    waiting = [b""]
    with BaseTree(project) as tree:
        while waiting and found < limit:
            for entry in tree.children(waiting.pop()):
                if entry.kind is not EntryKind.DIRECTORY:
                    found += 1
                elif os.fsdecode(entry.path.rpartition(b"/")[2]) not in METADATA:
                    waiting.append(entry.path)
    return found


def _at_and_around(operations: Sequence[Operation], paths: Sequence[bytes]) -> tuple[Operation, ...]:
    """The operations at, below and (directories that are needed) above `paths`."""
    for path in paths:
        if not any(op.path == path or op.path.startswith(path + b"/") for op in operations):
            raise NotFoundError("path in this apply", display(path))

    def wanted(operation: Operation) -> bool:
        here = operation.path
        below = any(here == path or here.startswith(path + b"/") for path in paths)
        gone = operation.before is not None and operation.before.kind is EntryKind.DIRECTORY
        return below or (gone and any(path.startswith(here + b"/") for path in paths))

    return tuple(operation for operation in operations if wanted(operation))


def _report(apply_id: str | None, project: Path, plan: ApplyPlan, *, dry_run: bool) -> ApplyReport:
    return _report_of(apply_id, project, plan.operations, plan.notes, dry_run=dry_run)


def _report_of(
    apply_id: str | None, project: Path, operations: Sequence[Operation], notes: Sequence[Note], *, dry_run: bool
) -> ApplyReport:
    def paths(choose: Callable[[Operation], bool]) -> tuple[bytes, ...]:
        return tuple(operation.path for operation in operations if choose(operation))

    return ApplyReport(
        id=apply_id,
        project=project,
        dry_run=dry_run,
        added=paths(lambda op: op.before is None),
        modified=paths(lambda op: op.before is not None and op.after is not None),
        deleted=paths(lambda op: op.action in (Action.REMOVE, Action.RMDIR)),
        notes=tuple(notes),
    )


def dry_run_report(project: Path, plan: ApplyPlan) -> ApplyReport:
    """What `apply` would report for this plan. Raises as `ApplyPlan.check`."""
    plan.check()
    return _report(None, project, plan, dry_run=True)


def _explained(fault: PathFault, root_fd: int) -> EngineError | SandboxError:
    """What the caller is told when the file system refused and everything is as it was."""
    error, path = fault.error, display(fault.path)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        room = os.fstatvfs(root_fd)
        return HostDiskFullError(f"applying {path}", RESERVE_BYTES, room.f_bavail * room.f_frsize)
    if error.errno in _WAY_IS_GONE:
        return ApplyConflictError([(path, f"was changed while it was applied: {error.strerror}")])
    return EnvironmentUnfitError(f"{path} cannot be written: {error.strerror}", "nothing was changed")
