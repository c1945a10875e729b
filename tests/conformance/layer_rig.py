"""What the rules of `LayerStore` stand on: a store over a small base, snapshots of what is in it, and the fixtures."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.workspace.changes import BaseTree, LayeredTree, Tree
from sandbox.workspace.edit import editing
from sandbox.workspace.layer import DiskLimit, LayerKey, LayerName, VolumeId
from sandbox.workspace.manifest import EntryKind, Manifest
from sandbox.workspace.store import LayerStore

MIB = 1 << 20
LIMIT = DiskLimit(bytes=64 * MIB, inodes=4000)
VOLUME = VolumeId("run-1")

Snapshot = dict[bytes, tuple[str, int, bytes]]
Write = Callable[[Path], object]


def snapshot(root: Path) -> Snapshot:
    """Kind, mode and content (or link text) of everything below `root`."""
    found: Snapshot = {}
    top = os.fsencode(root)
    for directory, _, _ in os.walk(top):
        with os.scandir(directory) as names:
            for entry in names:
                status = entry.stat(follow_symlinks=False)
                kind = stat.filemode(status.st_mode)[0]
                content = b""
                if kind == "-":
                    content = Path(os.fsdecode(entry.path)).read_bytes()
                elif kind == "l":
                    content = os.readlink(entry.path)
                mode = 0 if kind == "l" else stat.S_IMODE(status.st_mode)
                found[os.path.relpath(entry.path, top)] = (kind, mode, content)
    return found


def snapshot_of_tree(tree: Tree) -> Snapshot:
    """The same of a `Tree`."""
    letters = {EntryKind.FILE: "-", EntryKind.DIRECTORY: "d", EntryKind.SYMLINK: "l", EntryKind.FIFO: "p"}
    found: Snapshot = {}
    waiting = [b""]
    while waiting:
        for entry in tree.children(waiting.pop()):
            content = entry.target
            if entry.kind is EntryKind.FILE:
                with open(tree.open_file(entry.path), "rb") as file:
                    content = file.read()
            elif entry.kind is EntryKind.DIRECTORY:
                waiting.append(entry.path)
            mode = 0 if entry.kind is EntryKind.SYMLINK else entry.mode
            found[entry.path] = (letters[entry.kind], mode, content)
    return found


class Rig:
    """One store over one base, with short ways to do what most rules need."""

    def __init__(self, store: LayerStore, base: Path, new_slot: Callable[[], Path]) -> None:
        self.store = store
        self.base = base
        self.new_slot = new_slot
        self._number = 0

    def key(self) -> LayerKey:
        self._number += 1
        return LayerKey(f"key-{self._number}")

    def name(self) -> LayerName:
        self._number += 1
        return LayerName(f"layer-{self._number}")

    def active(self, parent: LayerName | None = None, volume: VolumeId = VOLUME) -> LayerKey:
        key = self.key()
        self.store.prepare(key, parent, volume)
        return key

    def write(self, key: LayerKey, write: Write) -> None:
        write(self.store.mount(key, self.new_slot()))
        self.store.unmount(key)

    def step(self, parent: LayerName | None, write: Write, volume: VolumeId = VOLUME) -> LayerName:
        """One layer on `parent`, changed by `write` through its mount."""
        key, name = self.active(parent, volume), self.name()
        self.write(key, write)
        self.store.commit(key, name)
        return name

    def edit(self, parent: LayerName | None, path: str, content: bytes) -> LayerName:
        """One layer on `parent`, changed without a mount."""
        key, name = self.active(parent), self.name()
        with self.tree(parent) as below, editing(self.store.upper(key), below) as edit:
            edit.write_file(path, content)
        self.store.commit(key, name)
        return name

    def seen(self, parent: LayerName | None, volume: VolumeId = VOLUME) -> Snapshot:
        """What a view of `parent` shows."""
        key = self.key()
        self.store.view(key, parent, volume)
        try:
            return snapshot(self.store.mount(key, self.new_slot()))
        finally:
            self.store.remove(key)

    def tree(self, name: LayerName | None, hide: Manifest | None = None) -> _OwnedTree:
        return _OwnedTree(self, name, hide)


class _OwnedTree:
    """The tree of a checkpoint as data, for the length of a block."""

    def __init__(self, rig: Rig, name: LayerName | None, hide: Manifest | None) -> None:
        self._base = BaseTree(rig.base, hide)
        self._tree: Tree = self._base
        if name is not None:
            manifest = rig.store.merged_manifest(name)
            self._tree = LayeredTree(manifest, self._base, lambda path: rig.store.open_file(name, path))

    def __enter__(self) -> Tree:
        return self._tree

    def __exit__(self, *_: object) -> None:
        self._base.close()


def nothing(root: Path) -> None:
    """A step that changes nothing."""


def remove_tree(directory: Path) -> None:
    subprocess.run(["rm", "-r", directory], check=True)


class StoreFixtures:
    """A store on a base; a test module gives the first three."""

    # -- what a test module gives ----------------------------------------------------------------

    @pytest.fixture
    def make_store(self, tmp_path: Path) -> Callable[[], LayerStore]:
        raise NotImplementedError

    @pytest.fixture
    def new_slot(self, tmp_path: Path) -> Callable[[], Path]:
        raise NotImplementedError

    @pytest.fixture
    def leave_rubbish(self) -> Callable[[LayerStore], Path]:
        raise NotImplementedError

    # -- what the suite makes of it --------------------------------------------------------------

    @pytest.fixture
    def base(self, tmp_path: Path) -> Path:
        base = tmp_path / "project"
        (base / "src" / "deep").mkdir(parents=True)
        (base / "docs").mkdir()
        (base / "README").write_bytes(b"read me\n")
        (base / "src" / "main.py").write_bytes(b"print(1)\n")
        (base / "src" / "deep" / "data").write_bytes(b"data\n" * 100)
        (base / "docs" / "a.md").write_bytes(b"# a\n")
        (base / "link").symlink_to("src/main.py")
        (base / ".env").write_bytes(b"SECRET=1\n")
        return base

    @pytest.fixture
    def stores(self, make_store: Callable[[], LayerStore]) -> Iterator[Callable[[], LayerStore]]:
        """`make_store`, and everything it made is closed at the end."""
        made: list[LayerStore] = []

        def make() -> LayerStore:
            made.append(make_store())
            return made[-1]

        yield make
        for store in made:
            store.close()

    @pytest.fixture
    def rig(self, stores: Callable[[], LayerStore], base: Path, new_slot: Callable[[], Path]) -> Rig:
        store = stores()
        store.create_volume(VOLUME, base, LIMIT)
        return Rig(store, base, new_slot)
