"""Layer stores against a model: dictionaries that are changed as the files are.

A *program* is a list of layers; each stands on any earlier checkpoint (so programs fork and roll back)
and does a few file operations. Operations name their files by numbers, which pick from what is there
when they run, so that every program means something. After each layer, checkpoints are read back
through views and as data, and the difference of two of them is compared with that of the dictionaries.

What differs by design between stores is kept out: a file that got several names in an *earlier* layer
is unlinked from the others before it is written (overlayfs breaks such links, a plain copy keeps them).
"""

from __future__ import annotations

import copy
import errno
import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.workspace.changes import BaseTree, ChangeKind, LayeredTree, changes
from sandbox.workspace.layer import DiskLimit, LayerKey, LayerName, VolumeId
from sandbox.workspace.manifest import EntryKind
from sandbox.workspace.store import LayerStore

NAMES = [b"a", b"b", b"a.b", b"a-b", b"new\nline", b"\xff\xfe", "é".encode(), b" ", b"-rf", b"x" * 200]
MODES = [0o644, 0o600, 0o755, 0o700, 0o664]
LIMIT = DiskLimit(bytes=64 << 20, inodes=4000)


@dataclass
class Node:
    """One file of the model; names of one hard-linked file share a node. mtime_ns: None when not known."""

    kind: EntryKind
    mode: int
    content: bytes = b""
    xattrs: dict[str, bytes] = field(default_factory=dict)
    mtime_ns: int | None = None


Files = dict[bytes, Node]


@dataclass(frozen=True)
class Op:
    """verb and three numbers that the verb takes its files and values from."""

    verb: str
    first: int
    second: int
    third: int


@dataclass(frozen=True)
class Step:
    """A layer: `parent` picks the checkpoint it stands on, `look` those that are compared afterwards."""

    parent: int
    ops: list[Op]
    look: tuple[int, int]


class Disk:
    """Does each operation on a mounted tree and on the model, alike."""

    VERBS: ClassVar[list[str]] = [
        *("create", "overwrite", "append", "chmod", "symlink", "hardlink", "delete", "rmtree", "rename"),
        *("mkdir", "to_directory", "to_file", "xattr", "utime", "sparse", "fifo", "recreate", "replace"),
    ]

    def __init__(self, root: Path, files: Files) -> None:
        self.root = os.fsencode(root)
        self.files = files

    def run(self, op: Op) -> None:
        getattr(self, op.verb)(op.first, op.second, op.third)

    # -- picking ---------------------------------------------------------------------------------

    def _at(self, path: bytes) -> bytes:
        return self.root + b"/" + path

    def _pick(self, number: int, *kinds: EntryKind) -> bytes | None:
        names = sorted(path for path, node in self.files.items() if not kinds or node.kind in kinds)
        return names[number % len(names)] if names else None

    def _free(self, first: int, second: int) -> bytes | None:
        """A path where nothing is yet."""
        directories = [b"", *sorted(p for p, node in self.files.items() if node.kind is EntryKind.DIRECTORY)]
        directory = directories[first % len(directories)]
        path = (directory + b"/" if directory else b"") + NAMES[second % len(NAMES)]
        return None if path in self.files or path.count(b"/") > 5 else path

    def _inside(self, directory: bytes) -> list[bytes]:
        return [path for path in self.files if path == directory or path.startswith(directory + b"/")]

    def _own(self, path: bytes) -> Node:
        """The node, after its file lost the names that earlier layers gave it."""
        node = self.files[path]
        names = sum(other is node for other in self.files.values())
        if os.lstat(self._at(path)).st_nlink > names and names == 1:
            shutil.copy2(self._at(path), self.root + b"/.copy", follow_symlinks=False)
            os.rename(self.root + b"/.copy", self._at(path))
        return node

    # -- operations ------------------------------------------------------------------------------

    def create(self, first: int, second: int, third: int) -> None:
        if (path := self._free(first, second)) is not None:
            self._write(path, b"content %d\n" % third * (third % 50))
            self.files[path] = Node(EntryKind.FILE, 0o644, b"content %d\n" % third * (third % 50))

    def _write(self, path: bytes, content: bytes, mode: str = "wb") -> None:
        with open(self._at(path), mode) as file:
            file.write(content)
        if mode == "wb":
            os.chmod(self._at(path), self.files[path].mode if path in self.files else 0o644)

    def overwrite(self, first: int, second: int, third: int) -> None:
        if (path := self._pick(first, EntryKind.FILE)) is not None:
            node = self._own(path)
            node.content, node.mtime_ns = b"%d" % third, None
            self._write(path, node.content)

    def append(self, first: int, second: int, third: int) -> None:
        if (path := self._pick(first, EntryKind.FILE)) is not None:
            node = self._own(path)
            node.content, node.mtime_ns = node.content + b"+%d" % third, None
            self._write(path, b"+%d" % third, "ab")

    def chmod(self, first: int, second: int, third: int) -> None:
        if (path := self._pick(first, EntryKind.FILE, EntryKind.DIRECTORY, EntryKind.FIFO)) is not None:
            node = self._own(path) if self.files[path].kind is EntryKind.FILE else self.files[path]
            node.mode = MODES[second % len(MODES)] | (0o700 if node.kind is EntryKind.DIRECTORY else 0)
            os.chmod(self._at(path), node.mode)

    def symlink(self, first: int, second: int, third: int) -> None:
        if (path := self._free(first, second)) is not None:
            target = [b"/etc/passwd", b"..", NAMES[third % len(NAMES)]][third % 3]
            os.symlink(target, self._at(path))
            self.files[path] = Node(EntryKind.SYMLINK, 0, target)

    def hardlink(self, first: int, second: int, third: int) -> None:
        source, path = self._pick(first, EntryKind.FILE), self._free(second, third)
        if source is not None and path is not None:
            self.files[path] = self._own(source)
            os.link(self._at(source), self._at(path))

    def delete(self, first: int, second: int, third: int) -> None:
        kinds = (EntryKind.FILE, EntryKind.SYMLINK, EntryKind.FIFO)
        if (path := self._pick(first, *kinds)) is not None:
            os.unlink(self._at(path))
            del self.files[path]

    def rmtree(self, first: int, second: int, third: int) -> None:
        if (path := self._pick(first, EntryKind.DIRECTORY)) is not None:
            shutil.rmtree(self._at(path))
            for inside in self._inside(path):
                del self.files[inside]

    def recreate(self, first: int, second: int, third: int) -> None:
        """Remove a directory and make it anew, which overlayfs marks opaque."""
        if (path := self._pick(first, EntryKind.DIRECTORY)) is not None:
            self.rmtree(first, 0, 0)
            self._mkdir(path)

    def mkdir(self, first: int, second: int, third: int) -> None:
        if (path := self._free(first, second)) is not None:
            self._mkdir(path)

    def _mkdir(self, path: bytes) -> None:
        os.mkdir(self._at(path))
        os.chmod(self._at(path), 0o755)
        self.files[path] = Node(EntryKind.DIRECTORY, 0o755)

    def to_directory(self, first: int, second: int, third: int) -> None:
        if (path := self._pick(first, EntryKind.FILE, EntryKind.SYMLINK)) is not None:
            os.unlink(self._at(path))
            self._mkdir(path)

    def to_file(self, first: int, second: int, third: int) -> None:
        if (path := self._pick(first, EntryKind.DIRECTORY)) is not None:
            self.rmtree(first, 0, 0)
            self._write(path, b"was a directory")
            self.files[path] = Node(EntryKind.FILE, 0o644, b"was a directory")

    def xattr(self, first: int, second: int, third: int) -> None:
        if (path := self._pick(first, EntryKind.FILE, EntryKind.DIRECTORY)) is not None:
            node = self._own(path) if self.files[path].kind is EntryKind.FILE else self.files[path]
            node.xattrs[f"user.x{second % 3}"] = b"%d\0" % third
            os.setxattr(self._at(path), f"user.x{second % 3}", b"%d\0" % third)

    def utime(self, first: int, second: int, third: int) -> None:
        if (path := self._pick(first, EntryKind.FILE)) is not None:
            node = self._own(path)
            node.mtime_ns = second * 1_000_000_007 + third
            os.utime(self._at(path), ns=(0, node.mtime_ns))

    def sparse(self, first: int, second: int, third: int) -> None:
        if (path := self._pick(first, EntryKind.FILE)) is not None and len(self.files[path].content) < 50_000:
            node = self._own(path)
            node.content, node.mtime_ns = node.content.ljust(60_000 + third, b"\0"), None
            os.truncate(self._at(path), len(node.content))

    def fifo(self, first: int, second: int, third: int) -> None:
        if (path := self._free(first, second)) is not None:
            os.mkfifo(self._at(path))
            os.chmod(self._at(path), 0o600)
            self.files[path] = Node(EntryKind.FIFO, 0o600)

    def replace(self, first: int, second: int, third: int) -> None:
        """Rename one file over another, as editors save."""
        source, target = self._pick(first, EntryKind.FILE), self._pick(second, EntryKind.FILE)
        if source is None or target is None or self._own(source) is self._own(target):
            return
        os.rename(self._at(source), self._at(target))
        self.files[target] = self.files.pop(source)

    def rename(self, first: int, second: int, third: int) -> None:
        source, target = self._pick(first), self._free(second, third)
        if source is None or target is None or target.startswith(source + b"/"):
            return
        moved = self._inside(source)
        outside = [id(node) for path, node in self.files.items() if path not in moved]
        if any(id(self.files[path]) in outside for path in moved) and len(moved) > 1:
            return  # moving by copying, which overlayfs asks for, would cut these hard links
        try:
            os.rename(self._at(source), self._at(target))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            subprocess.run([b"mv", b"--", self._at(source), self._at(target)], check=True)
        for path in moved:
            self.files[target + path[len(source) :]] = self.files.pop(path)


@dataclass
class Checkpoint:
    """name None: the base."""

    name: LayerName | None
    parent: int | None
    files: Files


class LayerModel:
    """Runs one program on a store, in a volume of its own, and compares as it goes."""

    _numbers: ClassVar[Iterator[int]] = count()

    def __init__(self, store: LayerStore, base: Path, new_slot: Callable[[], Path]) -> None:
        self._store = store
        self._base = base
        self._new_slot = new_slot
        self._volume = VolumeId(f"program-{next(self._numbers)}")
        self._checkpoints = [Checkpoint(None, None, read_back(base))]

    def run(self, program: list[Step]) -> None:
        self._store.create_volume(self._volume, self._base, LIMIT)
        try:
            for step in program:
                self._take(step)
                self._compare_view(len(self._checkpoints) - 1)
                self._compare_view(step.look[0] % len(self._checkpoints))
                self._compare_changes(*(number % len(self._checkpoints) for number in step.look))
            for number in range(len(self._checkpoints)):
                self._compare_data(number)
        finally:
            self._store.close_volume(self._volume)
            self._store.remove_volume(self._volume)

    def _id(self) -> str:
        return f"{self._volume}-{next(self._numbers)}"

    def _take(self, step: Step) -> None:
        parent = step.parent % len(self._checkpoints)
        below = self._checkpoints[parent]
        files = {path: copy.deepcopy(node) for path, node in below.files.items()}
        key, name = LayerKey(self._id()), LayerName(self._id())
        self._store.prepare(key, below.name, self._volume)
        disk = Disk(self._store.mount(key, self._new_slot()), files)
        try:
            for op in step.ops:
                disk.run(op)
        finally:
            self._store.unmount(key)
        self._store.commit(key, name)
        self._checkpoints.append(Checkpoint(name, parent, files))

    def _compare_view(self, number: int) -> None:
        checkpoint = self._checkpoints[number]
        key = LayerKey(self._id())
        self._store.view(key, checkpoint.name, self._volume)
        try:
            found = read_back(self._store.mount(key, self._new_slot()))
        finally:
            self._store.remove(key)
        for path, node in checkpoint.files.items():
            if node.mtime_ns is None and path in found:
                found[path].mtime_ns = None
        assert found == checkpoint.files

    def _tree(self, base: BaseTree, checkpoint: Checkpoint) -> BaseTree | LayeredTree:
        name = checkpoint.name
        if name is None:
            return base
        manifest = self._store.merged_manifest(name)
        return LayeredTree(manifest, base, lambda path: self._store.open_file(name, path))

    def _compare_data(self, number: int) -> None:
        """The tree that manifests tell, without a mount, is the model too."""
        checkpoint = self._checkpoints[number]
        found: dict[bytes, tuple[EntryKind, int, str]] = {}
        with BaseTree(self._base) as base:
            tree = self._tree(base, checkpoint)
            waiting = [b""]
            while waiting:
                for entry in tree.children(waiting.pop()):
                    assert tree.lookup(entry.path) == entry
                    if entry.kind is EntryKind.DIRECTORY:
                        waiting.append(entry.path)
                    mode = 0 if entry.kind is EntryKind.SYMLINK else entry.mode
                    digest = tree.digest(entry.path) if entry.kind is EntryKind.FILE else ""
                    found[entry.path] = (entry.kind, mode, digest)
                    assert dict(tree.xattrs(entry.path)) == {
                        name.encode(): value for name, value in checkpoint.files[entry.path].xattrs.items()
                    }
        expected = {path: (node.kind, node.mode, _digest(node)) for path, node in checkpoint.files.items()}
        assert found == expected

    def _compare_changes(self, first: int, second: int) -> None:
        common = self._common_ancestor(first, second)
        old, new = self._checkpoints[first], self._checkpoints[second]
        down_to = self._checkpoints[common].name
        touched = [self._store.merged_manifest(side.name, down_to) for side in (old, new)]
        with BaseTree(self._base) as base:
            found = changes(self._tree(base, old), self._tree(base, new), touched)
        assert {change.path: change.kind for change in found} == difference(old.files, new.files)
        assert len({change.path for change in found}) == len(found)

    def _common_ancestor(self, first: int, second: int) -> int:
        above: set[int | None] = set()
        current: int | None = first
        while current is not None:
            above.add(current)
            current = self._checkpoints[current].parent
        meeting = second
        while meeting not in above:
            parent = self._checkpoints[meeting].parent
            assert parent is not None
            meeting = parent
        return meeting


def _digest(node: Node) -> str:
    return hashlib.sha256(node.content).hexdigest() if node.kind is EntryKind.FILE else ""


def difference(old: Files, new: Files) -> dict[bytes, ChangeKind]:
    """What `changes` must say of two dictionaries."""
    found: dict[bytes, ChangeKind] = {}
    for path in old.keys() | new.keys():
        before, after = old.get(path), new.get(path)
        if before is None:
            found[path] = ChangeKind.ADDED
        elif after is None:
            found[path] = ChangeKind.DELETED
        elif before.kind is not after.kind:
            found[path] = ChangeKind.TYPE_CHANGED
        elif before.content != after.content:
            found[path] = ChangeKind.MODIFIED
        elif before.mode != after.mode:
            found[path] = ChangeKind.MODE_CHANGED
    return found


def read_back(root: Path) -> Files:
    """The model of a tree on disk. Names of one file do not share a node here: equality does not see it."""
    kinds = {
        stat.S_IFREG: EntryKind.FILE,
        stat.S_IFDIR: EntryKind.DIRECTORY,
        stat.S_IFLNK: EntryKind.SYMLINK,
        stat.S_IFIFO: EntryKind.FIFO,
    }
    files: Files = {}
    top = os.fsencode(root)
    for directory, directories, names in os.walk(top):
        for name in directories + names:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            node = Node(kinds[stat.S_IFMT(status.st_mode)], stat.S_IMODE(status.st_mode))
            if node.kind is EntryKind.SYMLINK:
                node.mode, node.content = 0, os.readlink(path)
            elif node.kind in (EntryKind.FILE, EntryKind.DIRECTORY):
                own = (name for name in os.listxattr(path) if name.startswith("user."))
                node.xattrs = {name: os.getxattr(path, name) for name in own}
            if node.kind is EntryKind.FILE:
                node.content = Path(os.fsdecode(path)).read_bytes()
                node.mtime_ns = status.st_mtime_ns
            files[os.path.relpath(path, top)] = node
    return files


def programs() -> st.SearchStrategy[list[Step]]:
    number = st.integers(0, 40)
    op = st.builds(Op, st.sampled_from(Disk.VERBS), number, number, number)
    step = st.builds(Step, number, st.lists(op, max_size=10), st.tuples(number, number))
    return st.lists(step, min_size=1, max_size=6)


class LayerModelSuite:
    """A test module subclasses it and gives `make_store` and `new_slot`, as for `LayerStoreSuite`."""

    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[], LayerStore]:
        raise NotImplementedError

    @pytest.fixture
    def new_slot(self, tmp_path: Path) -> Callable[[], Path]:
        raise NotImplementedError

    @pytest.fixture
    def store(self, make_store: Callable[[], LayerStore]) -> Iterator[LayerStore]:
        store = make_store()
        yield store
        store.close()

    @pytest.fixture
    def base(self, tmp_path: Path) -> Path:
        base = tmp_path / "project"
        (base / "a" / "b" / "a").mkdir(parents=True)
        (base / "b").mkdir()
        for path in ("a/b/a/b", "a/b/b", "a/a.b", "a.b", "b/a"):
            (base / path).write_bytes(path.encode() * 3)
        (base / "a-b").symlink_to("a/b")
        os.setxattr(base / "a", "user.x1", b"of the base")
        (base / "a.b").chmod(0o755)
        return base

    @settings(
        max_examples=100,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(program=programs())
    def test_every_checkpoint_and_difference_is_what_the_model_says(
        self, store: LayerStore, base: Path, new_slot: Callable[[], Path], program: list[Step]
    ) -> None:
        LayerModel(store, base, new_slot).run(program)
