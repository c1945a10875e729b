"""Decides what an apply or an undo does, and what stands against it. Pure: nothing here touches a disk.

A *conflict* is a path that is no longer what the execution started from: force overrides it (what is
replaced is kept), unless it is *hard*: then there is no sensible way to write. A *refusal* is a path
that is applied only when it is named. Either one stops the whole apply. A *note* stops nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from engine.checkpoints.baseline import Baseline, Seen, compare
from engine.checkpoints.operations import Action, Goal, Operation, Wish, operations_of
from engine.checkpoints.protected import (
    Allowance,
    Guard,
    Verdict,
    bare_candidates,
    bare_markers,
    judge,
    judge_link,
    judge_metadata,
    normal_mode,
)
from engine.errors import ApplyConflictError, ApplyRefusedError
from sandbox.workspace.changes import Change
from sandbox.workspace.display import display
from sandbox.workspace.manifest import EntryKind, ancestors, parent

MASS_DELETION_FILES: Final = 20
"""From so many deleted files on, an apply that deletes more than half of the project needs them named."""


class NoteKind(StrEnum):
    """RUNS_LATER: runs on the user's machine when the project is built, tested or started. MODE: permission
    bits were not taken over. KEPT: something that the execution never saw stays. COLLISION: names that some
    file systems take for the same. OVERRIDDEN: a conflict that force overrode. LEFT_OUT: refused, and left out."""

    RUNS_LATER = "runs-later"
    MODE = "mode"
    KEPT = "kept"
    COLLISION = "collision"
    OVERRIDDEN = "overridden"
    LEFT_OUT = "left-out"


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell about one path."""

    kind: NoteKind
    path: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why nothing is written. hard: a conflict that force does not override."""

    path: bytes
    reason: str
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Blocked:
    """A path that could not be looked at: the way leads through a link or a mount."""

    reason: str


Current = Mapping[bytes, Seen | Blocked | None]
"""What the user's directory has now at each path of interest."""


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """force: override conflicts that are not hard; what is replaced is kept. allow: patterns, as in
    .gitignore, of what is applied although it is protected or deletes much. leave_out: apply the rest when
    something is refused, instead of nothing."""

    force: bool = False
    allow: tuple[str, ...] = ()
    leave_out: bool = False


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """What would be done. With conflicts or refusals nothing is. collisions: groups of new names in one
    directory that must not be applied where the file system takes them for the same."""

    operations: tuple[Operation, ...]
    conflicts: tuple[Obstacle, ...] = ()
    refusals: tuple[Obstacle, ...] = ()
    notes: tuple[Note, ...] = ()
    collisions: tuple[tuple[bytes, ...], ...] = ()

    def check(self) -> None:
        """Raises ApplyConflictError, else ApplyRefusedError, when something stands against it."""
        if self.conflicts:
            raise ApplyConflictError([(display(found.path), found.reason) for found in self.conflicts])
        if self.refusals:
            raise ApplyRefusedError([(display(found.path), found.reason) for found in self.refusals])


def paths_of_interest(changes: Sequence[Change]) -> list[bytes]:
    """What `plan_apply` needs to know of the user's directory."""
    paths = {change.path for change in changes}
    for top in bare_candidates(change.path for change in changes if change.new is not None):
        paths.update(bare_markers(top))
    return sorted(paths)


def plan_apply(
    changes: Sequence[Change],
    baseline: Baseline,
    current: Current,
    options: ApplyOptions,
    count_files: Callable[[int], int],
) -> ApplyPlan:
    """What brings `changes` (base..head) to the user's directory.

    current: has every path of `paths_of_interest`. count_files: how many files the project has, counted no further
    than the number it is given; called only for many deletions.
    Raises ValueError: a pattern of `options.allow` is none.
    """
    planner = _Planner(changes, baseline, current, options)
    for change in changes:
        planner.take(change)
    return planner.result(count_files)


@dataclass(slots=True)
class _Findings:
    """What a planner collects."""

    force: bool
    wishes: list[Wish] = field(default_factory=list)
    conflicts: list[Obstacle] = field(default_factory=list)
    refusals: list[Obstacle] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    opened: set[bytes] = field(default_factory=set)

    def conflict(self, path: bytes, reason: str, *, hard: bool = False) -> bool:
        """Take up a conflict; True when it is overridden."""
        if self.force and not hard:
            self.notes.append(Note(NoteKind.OVERRIDDEN, path, reason))
            return True
        self.conflicts.append(Obstacle(path, reason, hard))
        return False

    def wish(self, path: bytes, before: Seen | None, after: Goal | None) -> None:
        """Take up what is to become of a path."""
        self.wishes.append(Wish(path, before, after))
        becomes_directory = after is not None and after.kind is EntryKind.DIRECTORY
        if becomes_directory and before is not None and before.kind is EntryKind.SYMLINK:
            self.opened.add(path)

    def beneath(self, path: bytes, now: Seen | Blocked | None) -> Seen | Blocked | None:
        """What is at `path` once a link above it has made room for a directory: nothing."""
        if isinstance(now, Blocked) and any(above in self.opened for above in ancestors(path)):
            return None
        return now

    def note(self, kind: NoteKind, path: bytes, text: str) -> None:
        self.notes.append(Note(kind, path, text))


class _Planner:
    def __init__(self, changes: Sequence[Change], baseline: Baseline, current: Current, options: ApplyOptions) -> None:
        self._baseline = baseline
        self._current = current
        self._options = options
        self._allowance = Allowance(options.allow)
        self._found = _Findings(options.force)
        self._left_out: set[bytes] = set()
        self._replaced: set[bytes] = set()
        self._bare = _bare_tops(changes, current)

    def take(self, change: Change) -> None:
        """Decide about one path."""
        path = change.path
        if any(above in self._left_out for above in ancestors(path)):
            self._found.note(NoteKind.LEFT_OUT, path, "is in something that is left out")
        elif self._refuse(change):
            if self._options.leave_out:
                self._left_out.add(path)
        elif change.new is None:
            self._take_deletion(path)
        else:
            self._take_entry(change)

    def _refuse(self, change: Change) -> bool:
        """Whether the path is not to be applied. Notes what runs later."""
        for verdict in self._verdicts(change):
            if not self._allowance.permits(change.path, verdict):
                if self._options.leave_out:
                    self._found.note(NoteKind.LEFT_OUT, change.path, verdict.reason)
                else:
                    self._found.refusals.append(Obstacle(change.path, verdict.reason + _how_to_allow(verdict)))
                return True
            if change.new is not None:
                self._found.note(NoteKind.RUNS_LATER, change.path, verdict.reason)
        return False

    def _verdicts(self, change: Change) -> Iterable[Verdict]:
        path, new = change.path, change.new
        if new is None:
            verdict = judge_metadata(path)
        else:
            verdict = judge(path, new.kind, new.mode)
        if verdict is not None:
            yield verdict
        if new is not None and new.kind is EntryKind.SYMLINK:
            link = judge_link(path, new.target)
            if link is not None:
                yield link
        for top in self._bare:
            if not top or path == top or path.startswith(top + b"/"):
                spell = (top.rpartition(b"/")[2] or b"HEAD").decode("utf-8", "surrogateescape")
                yield Verdict(Guard.METADATA, "is in a directory that git would take for a repository", spell)

    def _take_deletion(self, path: bytes) -> None:
        now = self._current[path]
        if now is None:
            return
        if isinstance(now, Blocked):
            self._found.conflict(path, now.reason, hard=True)
            return
        then = self._baseline.entries.get(path)
        if then is None:
            self._keep(path)
        elif then.kind is EntryKind.DIRECTORY and now.kind is EntryKind.DIRECTORY:
            self._found.wish(path, now, None)
        else:
            reason = compare(then, now, self._baseline.root.start_ns)
            if self._may_write(path, reason, now, None):
                self._found.wish(path, now, None)

    def _keep(self, path: bytes) -> None:
        """The execution deletes the directory, or replaces it, without having seen this entry."""
        top = next((above for above in ancestors(path) if above in self._replaced), None)
        if top is None:
            self._found.note(NoteKind.KEPT, path, "was created after the execution started; it stays")
        else:
            reason = f"cannot be replaced: it holds {display(path)}, which was created meanwhile"
            self._found.conflict(top, reason, hard=True)

    def _take_entry(self, change: Change) -> None:
        path, new = change.path, change.new
        now = self._found.beneath(path, self._current[path])
        if new is None:
            raise ValueError("not an entry")
        if isinstance(now, Blocked):
            self._found.conflict(path, now.reason, hard=True)
            return
        then = self._baseline.entries.get(path)
        before_mode = now.mode if now is not None and now.kind is new.kind else None
        mode = 0o777 if new.kind is EntryKind.SYMLINK else normal_mode(new.mode, before_mode)
        goal = Goal(new.kind, mode, new.size, new.digest, new.target)
        if goal.is_met_by(now):
            return
        if new.kind is EntryKind.DIRECTORY and now is not None and now.kind is new.kind and then is None:
            self._found.note(NoteKind.KEPT, path, "was created meanwhile; its mode stays as it is")
            return
        if new.mode & ~goal.mode & 0o7002 and new.kind is not EntryKind.SYMLINK:
            self._found.note(NoteKind.MODE, path, f"mode {new.mode:04o} is applied as {goal.mode:04o}")
        reason = compare(then, now, self._baseline.root.start_ns)
        if reason and goal.digest:
            reason += f"; the execution's has sha256 {goal.digest[:12]}"
        if self._may_write(path, reason, now, goal):
            self._found.wish(path, now, goal)
            if now is not None and now.kind is EntryKind.DIRECTORY and goal.kind is not EntryKind.DIRECTORY:
                self._replaced.add(path)

    def _may_write(self, path: bytes, reason: str | None, now: Seen | None, goal: Goal | None) -> bool:
        return may_write(self._found, path, reason, now, goal)

    def result(self, count_files: Callable[[int], int]) -> ApplyPlan:
        """The plan."""
        self._check_deletions(count_files)
        return finished(self._found)

    def _check_deletions(self, count_files: Callable[[int], int]) -> None:
        gone = [
            wish.path
            for wish in self._found.wishes
            if wish.after is None and wish.before is not None and wish.before.kind is not EntryKind.DIRECTORY
        ]
        unnamed = sum(not self._allowance.names(path) for path in gone)
        if unnamed < MASS_DELETION_FILES:
            return
        total = count_files(2 * unnamed)
        if total < 2 * unnamed:
            reason = f"{unnamed} of its {total} files would be deleted; name what may go with --allow"
            self._found.refusals.append(Obstacle(b"", reason))


def may_write(found: _Findings, path: bytes, reason: str | None, now: Seen | None, goal: Goal | None) -> bool:
    """Whether `now` may be replaced by `goal`; `reason` is what stands against it, if anything.

    Takes up the conflict when not. Hard is what has no content that could be kept, or what stands in the
    place of a directory or the other way round without the execution knowing.
    """
    if now is not None and now.kind not in (EntryKind.FILE, EntryKind.SYMLINK, EntryKind.DIRECTORY):
        return found.conflict(path, f"is a {now.kind.value} now", hard=True)
    if now is not None and now.kind is EntryKind.FILE and not now.digest:
        return found.conflict(path, "cannot be read, so what is replaced could not be kept", hard=True)
    if goal is not None and goal.kind is EntryKind.FILE and not goal.digest:
        return found.conflict(path, "the execution has no record of its content", hard=True)
    if reason is None:
        return True
    becomes_directory = goal is not None and goal.kind is EntryKind.DIRECTORY
    in_the_way = EntryKind.SYMLINK if becomes_directory else EntryKind.DIRECTORY
    hard = now is not None and now.kind is in_the_way
    return found.conflict(path, reason, hard=hard)


def finished(found: _Findings) -> ApplyPlan:
    """The plan from everything that was collected."""
    operations = operations_of(found.wishes)
    collisions = _collisions(operations)
    for group in collisions:
        others = ", ".join(display(path) for path in group[1:])
        found.note(NoteKind.COLLISION, group[0], f"is the same name as {others} on some file systems")
    return ApplyPlan(operations, tuple(found.conflicts), tuple(found.refusals), tuple(found.notes), collisions)


def plan_undo(done: Sequence[Operation], current: Current, options: ApplyOptions) -> ApplyPlan:
    """What takes back the operations of an earlier apply, or those of them that are given.

    A path that is no longer as the apply left it is a conflict. Content, modes, times and owners become
    what they were; a directory that was made goes only if it is empty.
    """
    found = _Findings(options.force)
    for operation in done:
        path = operation.path
        now = found.beneath(path, current[path])
        if isinstance(now, Blocked):
            found.conflict(path, now.reason, hard=True)
            continue
        goal = None if operation.before is None else _goal_of(operation.before)
        if _is_back(goal, now):
            continue
        if operation.after is None:
            reason = None if now is None else "was created since it was applied"
        else:
            reason = None if operation.after.is_met_by(now) else "was changed since it was applied"
        directories = goal is None and now is not None and now.kind is EntryKind.DIRECTORY
        if directories and operation.after is not None and operation.after.kind is EntryKind.DIRECTORY:
            reason = None  # it goes if it is empty; nothing is lost by trying
        if may_write(found, path, reason, now, goal):
            found.wish(path, now, goal)
    return finished(found)


def _goal_of(before: Seen) -> Goal:
    owner = (before.uid, before.gid)
    return Goal(before.kind, before.mode, before.size, before.digest, before.target, before.mtime_ns, owner)


def _is_back(goal: Goal | None, now: Seen | None) -> bool:
    if goal is None or now is None:
        return goal is None and now is None
    return goal.is_met_by(now) and (goal.kind is EntryKind.DIRECTORY or goal.mtime_ns == now.mtime_ns)


def _how_to_allow(verdict: Verdict) -> str:
    if verdict.guard is Guard.METADATA:
        return f"; a pattern of --allow must name {verdict.spell}"
    return ""


def _bare_tops(changes: Sequence[Change], current: Current) -> set[bytes]:
    """Directories that are bare repositories after these changes, and that these changes touch."""
    after = {change.path: change.new is not None for change in changes}
    candidates = bare_candidates(change.path for change in changes if change.new is not None)
    return {
        top for top in candidates if all(after.get(mark, current.get(mark) is not None) for mark in bare_markers(top))
    }


def _collisions(operations: Sequence[Operation]) -> tuple[tuple[bytes, ...], ...]:
    groups: dict[tuple[bytes, str], list[bytes]] = {}
    for operation in operations:
        if operation.action is Action.PLACE and operation.before is None:
            name = operation.path.rpartition(b"/")[2].decode("utf-8", "surrogateescape")
            key = (parent(operation.path), unicodedata.normalize("NFC", name.casefold()))
            groups.setdefault(key, []).append(operation.path)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)
