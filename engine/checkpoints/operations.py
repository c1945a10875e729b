"""What an apply does to the user's directory, as data: one operation for each path, and its JSON form.

An operation names what is there before (`Seen`) and what is to be there after (`Goal`), so that it can
be carried out, checked, finished after a crash, taken back, and undone a week later from the same record.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from engine.checkpoints.baseline import Seen
from sandbox.workspace.manifest import EntryKind, ancestors


class Action(StrEnum):
    """How an operation is carried out.

    PLACE: what is new is made ready under another name and exchanged with, or moved to, the path.
    CHMOD: the entry keeps its place and content. REMOVE: a file or link goes. RMDIR: a directory goes if
    it is empty by then.
    """

    PLACE = "place"
    CHMOD = "chmod"
    REMOVE = "remove"
    RMDIR = "rmdir"


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be at a path.

    kind: file, directory or symlink. mtime_ns: None for the time of writing. owner: uid and gid, which only
    root can give; None: those of what is replaced, else of the directory's owner.
    """

    kind: EntryKind
    mode: int
    size: int = 0
    digest: str = ""
    target: bytes = b""
    mtime_ns: int | None = None
    owner: tuple[int, int] | None = None

    def is_met_by(self, seen: Seen | None) -> bool:
        """Whether this is already there. Times and owners do not count, nor do a link's mode and a
        directory's setgid bit, which it may have from the one above it."""
        if seen is None or seen.kind is not self.kind:
            return False
        if self.kind is EntryKind.SYMLINK:
            return seen.target == self.target
        if self.kind is EntryKind.DIRECTORY:
            return not (seen.mode ^ self.mode) & ~stat.S_ISGID
        return seen.mode == self.mode and self.has_content_of(seen)

    def has_content_of(self, seen: Seen) -> bool:
        """Whether a file with this content is there."""
        return bool(self.digest) and seen.digest == self.digest and seen.size == self.size


@dataclass(frozen=True, slots=True)
class Operation:
    """One path. `after` is None when it goes.

    within: the path of the operation that brings in, or takes away, the whole directory which this one is
    in; it is carried out together with that one.
    """

    path: bytes
    action: Action
    before: Seen | None
    after: Goal | None
    within: bytes | None = None

    def to_record(self) -> dict[str, Any]:
        """JSON-able; inverse of `from_record`."""
        return {
            "path": _text(self.path),
            "action": self.action.value,
            "before": None if self.before is None else self.before.to_record(),
            "after": None if self.after is None else _goal_to_record(self.after),
            "within": None if self.within is None else _text(self.within),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Operation:
        """Raises KeyError, TypeError or ValueError on anything that `to_record` did not make."""
        before, after, within = record["before"], record["after"], record["within"]
        return cls(
            path=_bytes(record["path"]),
            action=Action(record["action"]),
            before=None if before is None else Seen.from_record(before),
            after=None if after is None else _goal_from_record(after),
            within=None if within is None else _bytes(within),
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to become of one path, before it is settled how."""

    path: bytes
    before: Seen | None
    after: Goal | None


def operations_of(wishes: Iterable[Wish]) -> tuple[Operation, ...]:
    """How the wishes are carried out. They come in the order of manifests: a directory before what is in it."""
    found: dict[bytes, Operation] = {}
    for wish in wishes:
        within = next((top for top in ancestors(wish.path) if _takes_along(found.get(top), wish)), None)
        found[wish.path] = Operation(wish.path, _action(wish), wish.before, wish.after, within)
    return tuple(found.values())


def _takes_along(top: Operation | None, wish: Wish) -> bool:
    """Whether `top` makes the directory that `wish` goes into, or takes away the one that it goes from."""
    if top is None or top.action is not Action.PLACE or top.within is not None:
        return False
    goes = wish.after is None
    made = top.after is not None and top.after.kind is EntryKind.DIRECTORY
    return goes != made


def _action(wish: Wish) -> Action:
    before, after = wish.before, wish.after
    if after is None:
        gone = before is not None and before.kind is EntryKind.DIRECTORY
        return Action.RMDIR if gone else Action.REMOVE
    if before is None or before.kind is not after.kind:
        return Action.PLACE
    if after.kind is EntryKind.DIRECTORY:
        return Action.CHMOD
    # Through a second name of the same file its mode would change outside of what is applied.
    if before.links == 1 and after.has_content_of(before) and after.mtime_ns in (None, before.mtime_ns):
        return Action.CHMOD
    return Action.PLACE


def _goal_to_record(goal: Goal) -> dict[str, Any]:
    return asdict(goal) | {"kind": goal.kind.value, "target": _text(goal.target)}


def _goal_from_record(record: Mapping[str, Any]) -> Goal:
    known = dict(record)
    kind, target, owner = EntryKind(known.pop("kind")), _bytes(known.pop("target")), known.pop("owner")
    return Goal(kind=kind, target=target, owner=None if owner is None else (owner[0], owner[1]), **known)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
