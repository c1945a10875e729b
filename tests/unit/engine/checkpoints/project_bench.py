"""A user's project and an execution over it, without containers: `head` is a copy that tests change as steps would."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from engine.checkpoints.apply import Applier, ApplyReport, Origin
from engine.checkpoints.baseline import Baseline, Record, begin, record
from engine.checkpoints.planning import ApplyOptions, ApplyPlan
from engine.checkpoints.staging import At
from sandbox.workspace.beneath import open_regular, opened
from sandbox.workspace.changes import BaseTree, Change, LayeredTree, Tree, changes
from sandbox.workspace.manifest import Entry, EntryKind, Manifest, ancestors
from sandbox.workspace.tree import scan

Facts = dict[str, tuple[str, int, bytes]]


def facts(directory: Path) -> Facts:
    """Every path with its kind, mode and content: what two trees are compared by."""
    found: Facts = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        name = os.fsdecode(os.fsencode(path.relative_to(directory)))
        if stat.S_ISLNK(status.st_mode):
            found[name] = ("link", 0, os.fsencode(os.readlink(path)))
        elif stat.S_ISDIR(status.st_mode):
            found[name] = ("dir", stat.S_IMODE(status.st_mode), b"")
        else:
            found[name] = ("file", stat.S_IMODE(status.st_mode), path.read_bytes())
    return found


def times(directory: Path) -> dict[str, int]:
    """mtime of every file and link."""
    return {
        str(path.relative_to(directory)): path.lstat().st_mtime_ns
        for path in directory.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


def layer_between(before: Manifest, after: Manifest) -> Manifest:
    """What a layer holds that makes `after` of `before`."""
    changed: dict[bytes, Entry] = {}
    for entry in before:
        if after.get(entry.path) is None:
            top = next((a for a in ancestors(entry.path) if (e := after.get(a)) is None or _leaf(e)), None)
            if top is None:
                changed[entry.path] = Entry(entry.path, EntryKind.WHITEOUT)
    for entry in after:
        old = before.get(entry.path)
        same = old is not None and replace(old, mtime_ns=0, link=None) == replace(entry, mtime_ns=0, link=None)
        if not same:
            changed[entry.path] = replace(entry, link=None)
    for path in list(changed):
        for above in ancestors(path):
            found = after.get(above)
            if found is not None:
                changed.setdefault(above, found)
    return Manifest(changed.values())


def _leaf(entry: Entry) -> bool:
    return entry.kind is not EntryKind.DIRECTORY


class Bench:
    """project: the user's directory. head: what the steps made of it. home: the state directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.project = directory / "project"
        self.head = directory / "head"
        self.home = directory / "home"
        self.project.mkdir()
        self.home.mkdir(mode=0o700)
        self._records: dict[bytes, Record | None] = {}
        self._layer = Manifest()

    def start(self) -> None:
        """The execution starts: head is the project as it is now."""
        self._records = begin(self.project)
        shutil.copytree(self.project, self.head, symlinks=True)
        for path in self.project.rglob("*"):
            if not path.is_symlink():
                (self.head / path.relative_to(self.project)).chmod(stat.S_IMODE(path.stat().st_mode))
        with opened(self.project) as fd:
            self._before = scan(fd)

    def seal(self, hide: Manifest | None = None) -> None:
        """The steps are done: what they changed is a layer, and the baseline is recorded."""
        with opened(self.head) as fd:
            self._layer = layer_between(self._before, scan(fd))
        self._records |= record(self.project, self._layer, self._records, hide)

    def seal_again(self) -> None:
        """The same layer over another project, as if the execution had run over that one."""
        self._records = begin(self.project)
        self._records |= record(self.project, self._layer, self._records)

    @property
    def baseline(self) -> Baseline:
        return Baseline.from_records(self._records)

    @contextmanager
    def compared(self) -> Iterator[tuple[list[Change], Tree, Tree]]:
        """The changes, the tree before and the tree after."""
        with opened(self.head) as head_fd, BaseTree(self.project) as old:
            new = LayeredTree(self._layer, old, lambda path: open_regular(head_fd, path))
            yield changes(old, new, [self._layer]), old, new

    def applier(self, at: At = lambda _: None) -> Applier:
        return Applier(self.home, at=at)

    def plan(self, *allow: str, force: bool = False, leave_out: bool = False) -> ApplyPlan:
        with self.compared() as (found, _, _new):
            options = ApplyOptions(force, allow, leave_out)
            return self.applier().plan(self.project, found, self.baseline, options)

    def apply(self, *allow: str, force: bool = False, leave_out: bool = False, at: At = lambda _: None) -> ApplyReport:
        with self.compared() as (found, _, new):
            options = ApplyOptions(force, allow, leave_out)
            origin = Origin("e1", "c2")
            return self.applier(at).apply(self.project, found, new, self.baseline, options, origin)

    def applying(self) -> Callable[[], ApplyReport]:
        """An apply that has made all its directories."""
        applier = self.applier()

        def work() -> ApplyReport:
            with self.compared() as (found, _, new):
                return applier.apply(self.project, found, new, self.baseline)

        return work

    def undo(self, *, force: bool = False) -> ApplyReport:
        applier = self.applier()
        return applier.undo(applier.last("e1"), ApplyOptions(force))

    def temporary_names(self) -> list[str]:
        """What an apply left behind in the project."""
        return [path.name for path in self.project.rglob("*") if path.name.startswith(".sandstone-")]
