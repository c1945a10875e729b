"""The rules of `LayerStore`, as one suite that every implementation passes.

A test module subclasses `LayerStoreSuite` and gives three fixtures: `make_store` (opens the store on
one and the same root, as a process that starts would), `new_slot` (an empty directory that `mount` may
be given) and `leave_rubbish` (leaves what a crash before the row would leave, and returns where).
Layers are written through `mount` with plain file operations, as the test's own uid.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import (
    HostDiskFullError,
    LayerCorruptError,
    LayerExistsError,
    LayerInUseError,
    LayerKindError,
    LayerNotFoundError,
    PathRefusedError,
    SandboxError,
    TreeRefusedError,
)
from sandbox.workspace.changes import BaseTree, ChangeKind, LayeredTree, Tree, changes
from sandbox.workspace.edit import editing
from sandbox.workspace.layer import DiskLimit, LayerKey, LayerKind, LayerName, VolumeId
from sandbox.workspace.manifest import Entry, EntryKind, Manifest
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


def _nothing(root: Path) -> None:
    """A step that changes nothing."""


class LayerStoreSuite:
    """Every rule is one test; a store that breaks one has a bug or `store.py` has."""

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

    # -- what steps see --------------------------------------------------------------------------

    def test_a_fresh_layer_shows_the_base(self, rig: Rig) -> None:
        key = rig.active()
        assert snapshot(rig.store.mount(key, rig.new_slot())) == snapshot(rig.base)
        rig.store.unmount(key)

    def test_nothing_a_step_does_changes_the_base(self, rig: Rig) -> None:
        before = snapshot(rig.base)

        def ravage(root: Path) -> None:
            (root / "README").write_bytes(b"changed")
            (root / "src" / "main.py").unlink()
            subprocess.run(["mv", root / "docs", root / "papers"], check=True)
            (root / "new").mkdir()

        rig.step(None, ravage)
        assert snapshot(rig.base) == before

    def test_what_a_layer_changed_is_seen_above_it(self, rig: Rig) -> None:
        name = rig.step(None, lambda root: (root / "src" / "new.py").write_bytes(b"new\n"))
        assert rig.seen(name)[b"src/new.py"] == ("-", 0o644, b"new\n")
        assert b"src/new.py" not in rig.seen(None)

    def test_of_three_layers_the_topmost_wins(self, rig: Rig) -> None:
        one = rig.step(None, lambda root: [(root / n).write_bytes(b"1") for n in ("a", "b", "c")])
        two = rig.step(one, lambda root: [(root / n).write_bytes(b"2") for n in ("b", "c")])
        three = rig.step(two, lambda root: (root / "c").write_bytes(b"3"))
        seen = rig.seen(three)
        assert [seen[name][2] for name in (b"a", b"b", b"c")] == [b"1", b"2", b"3"]
        assert rig.seen(one)[b"c"][2] == b"1"

    def test_two_layers_on_one_parent_do_not_see_each_other(self, rig: Rig) -> None:
        one = rig.step(None, lambda root: (root / "one").write_bytes(b""))
        left = rig.step(one, lambda root: (root / "left").write_bytes(b""))
        right = rig.step(one, lambda root: (root / "right").write_bytes(b""))
        assert {b"one", b"left"} <= rig.seen(left).keys()
        assert b"left" not in rig.seen(right)

    def test_a_deleted_file_stays_away(self, rig: Rig) -> None:
        one = rig.step(None, lambda root: (root / "src" / "main.py").unlink())
        two = rig.step(one, lambda root: (root / "other").write_bytes(b""))
        assert b"src/main.py" not in rig.seen(two)
        entry = rig.store.manifest(one).get(b"src/main.py")
        assert entry is not None
        assert entry.kind is EntryKind.WHITEOUT

    def test_a_deleted_file_can_come_back(self, rig: Rig) -> None:
        one = rig.step(None, lambda root: (root / "README").unlink())
        two = rig.step(one, lambda root: (root / "README").write_bytes(b"again"))
        assert rig.seen(two)[b"README"][2] == b"again"

    def test_a_directory_made_anew_has_nothing_of_the_old_one(self, rig: Rig) -> None:
        def replace(root: Path) -> None:
            _remove(root / "src")
            (root / "src").mkdir()
            (root / "src" / "only").write_bytes(b"x")

        one = rig.step(None, replace)
        two = rig.step(one, lambda root: (root / "src" / "more").write_bytes(b"y"))
        assert {path for path in rig.seen(two) if path.startswith(b"src/")} == {b"src/only", b"src/more"}

    def test_a_directory_takes_the_place_of_a_file_and_the_reverse(self, rig: Rig) -> None:
        def swap(root: Path) -> None:
            (root / "README").unlink()
            (root / "README").mkdir()
            (root / "README" / "inside").write_bytes(b"in")
            _remove(root / "docs")
            (root / "docs").write_bytes(b"a file now")

        seen = rig.seen(rig.step(None, swap))
        assert seen[b"README"][0] == "d"
        assert seen[b"README/inside"][2] == b"in"
        assert seen[b"docs"] == ("-", 0o644, b"a file now")
        assert b"docs/a.md" not in seen

    def test_a_moved_directory_is_all_there_and_gone_from_its_old_place(self, rig: Rig) -> None:
        name = rig.step(None, lambda root: subprocess.run(["mv", root / "src", root / "lib"], check=True))
        seen = rig.seen(name)
        assert seen[b"lib/deep/data"][2] == b"data\n" * 100
        assert not [path for path in seen if path == b"src" or path.startswith(b"src/")]

    def test_links_keep_their_text_and_are_never_followed(self, rig: Rig) -> None:
        def link(root: Path) -> None:
            (root / "away").symlink_to("/etc/passwd")
            (root / "nowhere").symlink_to(b"\xff\n".decode("utf-8", "surrogateescape"))
            (root / "link").unlink()
            (root / "link").symlink_to("docs")

        name = rig.step(None, link)
        seen = rig.seen(name)
        assert seen[b"away"][2] == b"/etc/passwd"
        assert seen[b"nowhere"][2] == b"\xff\n"
        assert seen[b"link"][2] == b"docs"
        with pytest.raises(PathRefusedError):
            rig.store.open_file(name, b"away")

    def test_hard_links_of_one_layer_are_one_file(self, rig: Rig) -> None:
        def link(root: Path) -> None:
            (root / "z").write_bytes(b"same")
            os.link(root / "z", root / "docs" / "b")
            os.link(root / "z", root / "a")

        manifest = rig.store.manifest(rig.step(None, link))
        links = {entry.path: entry.link for entry in manifest if entry.kind is EntryKind.FILE}
        assert links == {b"a": None, b"docs/b": b"a", b"z": b"a"}

    def test_names_are_bytes(self, rig: Rig) -> None:
        names = [b"new\nline", b"\xff\xfe", "é".encode(), b"x" * 255, b"-rf", b" ", b"..x", b"\x1b[2J", b"a\\b"]

        def write(root: Path) -> None:
            for name in names:
                (root / os.fsdecode(name)).write_bytes(name)

        name = rig.step(None, write)
        seen = rig.seen(name)
        assert all(seen[given] == ("-", 0o644, given) for given in names)
        assert {entry.path for entry in rig.store.manifest(name)} == set(names)

    def test_a_sparse_file_stays_sparse(self, rig: Rig) -> None:
        def write(root: Path) -> None:
            with (root / "sparse").open("wb") as file:
                file.truncate(256 * MIB)
                file.seek(100 * MIB)
                file.write(b"middle")

        name = rig.step(rig.step(None, write), lambda root: (root / "x").write_bytes(b""))
        fd = rig.store.open_file(name, b"sparse")
        try:
            status = os.fstat(fd)
            assert status.st_size == 256 * MIB
            assert status.st_blocks * 512 < MIB
            assert os.pread(fd, 6, 100 * MIB) == b"middle"
        finally:
            os.close(fd)

    def test_empty_files_and_directories_are_kept(self, rig: Rig) -> None:
        name = rig.step(None, lambda root: [(root / "empty").write_bytes(b""), (root / "hollow").mkdir()])
        seen = rig.seen(name)
        assert seen[b"empty"] == ("-", 0o644, b"")
        assert seen[b"hollow"][0] == "d"

    def test_times_modes_and_attributes_are_kept_exactly(self, rig: Rig) -> None:
        def write(root: Path) -> None:
            path = root / "exact"
            path.write_bytes(b"x")
            os.setxattr(path, "user.colour", b"\x00red")
            path.chmod(0o751)
            os.utime(path, ns=(1, 1_234_567_890_123_456_789))

        name = rig.step(None, write)
        key = rig.active(name)
        path = rig.store.mount(key, rig.new_slot()) / "exact"
        assert path.stat().st_mtime_ns == 1_234_567_890_123_456_789
        assert stat.S_IMODE(path.stat().st_mode) == 0o751
        assert os.getxattr(path, "user.colour") == b"\x00red"
        entry = rig.store.manifest(name).get(b"exact")
        assert entry is not None
        assert entry.xattrs == ((b"user.colour", b"\x00red"),)
        rig.store.unmount(key)

    def test_setuid_bits_are_left_and_listed(self, rig: Rig) -> None:
        def write(root: Path) -> None:
            (root / "tool").write_bytes(b"#!")
            (root / "tool").chmod(0o6755)
            (root / "shared").mkdir()
            (root / "shared").chmod(0o1777)

        manifest = rig.store.manifest(rig.step(None, write))
        assert {entry.path: entry.mode for entry in manifest} == {b"tool": 0o6755, b"shared": 0o1777}

    def test_a_change_of_mode_alone_is_a_change_of_mode(self, rig: Rig) -> None:
        name = rig.step(None, lambda root: (root / "README").chmod(0o600))
        with rig.tree(None) as old, rig.tree(name) as new:
            found = changes(old, new, [rig.store.manifest(name)])
        assert [(change.path, change.kind) for change in found] == [(b"README", ChangeKind.MODE_CHANGED)]

    def test_fifos_and_sockets_are_listed_and_never_opened(self, rig: Rig) -> None:
        def write(root: Path) -> None:
            os.mkfifo(root / "fifo")
            directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                with socket.socket(socket.AF_UNIX) as server:
                    server.bind(f"/proc/self/fd/{directory}/sock")  # a socket's path may have 107 bytes only
            finally:
                os.close(directory)

        name = rig.step(None, write)
        kinds = {entry.path: entry.kind for entry in rig.store.manifest(name)}
        assert kinds == {b"fifo": EntryKind.FIFO, b"sock": EntryKind.SOCKET}
        with pytest.raises(PathRefusedError):
            rig.store.open_file(name, b"fifo")

    def test_the_tree_as_data_is_the_tree_as_mounted(self, rig: Rig) -> None:
        def change(root: Path) -> None:
            _remove(root / "src" / "deep")
            (root / "src" / "deep").mkdir()
            (root / "README").unlink()
            (root / "docs" / "b").mkdir(mode=0o700)
            (root / "docs" / "b" / "c").write_bytes(b"c")

        one = rig.step(None, change)
        two = rig.step(one, lambda root: [_remove(root / "docs"), (root / "README").symlink_to("x")])
        for name in (None, one, two):
            with rig.tree(name) as tree:
                assert snapshot_of_tree(tree) == rig.seen(name)

    # -- the mask --------------------------------------------------------------------------------

    def test_what_the_mask_names_is_not_seen_and_no_difference(
        self, stores: Callable[[], LayerStore], base: Path, new_slot: Callable[[], Path]
    ) -> None:
        mask = Manifest([Entry(b".env", EntryKind.WHITEOUT), Entry(b"src/deep", EntryKind.WHITEOUT)])
        store = stores()
        store.create_volume(VOLUME, base, LIMIT, hide=mask)
        rig = Rig(store, base, new_slot)
        name = rig.step(None, lambda root: (root / "new").write_bytes(b""))
        assert {b".env", b"src/deep", b"src/deep/data"}.isdisjoint(rig.seen(name))
        assert {entry.path for entry in store.manifest(name)} == {b"new"}
        assert store.mask(VOLUME) == mask

    def test_a_mask_of_its_own_replaces_the_volumes_mask(
        self, stores: Callable[[], LayerStore], base: Path, new_slot: Callable[[], Path]
    ) -> None:
        store = stores()
        store.create_volume(VOLUME, base, LIMIT, hide=Manifest([Entry(b".env", EntryKind.WHITEOUT)]))
        rig = Rig(store, base, new_slot)
        one = rig.step(None, lambda root: (root / "one").write_bytes(b"1"))
        key = rig.key()
        store.prepare(key, one, VOLUME, hide=Manifest([Entry(b"docs", EntryKind.WHITEOUT)]))
        root = store.mount(key, new_slot())
        assert (root / ".env").exists()
        assert (root / "one").exists()
        assert not (root / "docs").exists()
        (root / "two").write_bytes(b"2")
        store.unmount(key)
        two = rig.name()
        store.commit(key, two)
        assert {entry.path for entry in store.manifest(two)} == {b"two"}
        seen = rig.seen(two)
        assert {b"one", b"two", b"docs/a.md"} <= seen.keys()
        assert b".env" not in seen

    def test_a_file_written_where_the_mask_is_can_be_seen(
        self, stores: Callable[[], LayerStore], base: Path, new_slot: Callable[[], Path]
    ) -> None:
        store = stores()
        store.create_volume(VOLUME, base, LIMIT, hide=Manifest([Entry(b".env", EntryKind.WHITEOUT)]))
        rig = Rig(store, base, new_slot)
        name = rig.step(None, lambda root: (root / ".env").write_bytes(b"MINE=1"))
        assert rig.seen(name)[b".env"][2] == b"MINE=1"

    # -- life of a layer -------------------------------------------------------------------------

    def test_prepare_gives_an_empty_active_layer(self, rig: Rig) -> None:
        one = rig.step(None, _nothing)
        layer = rig.store.prepare(LayerKey("mine"), one, VOLUME)
        assert (layer.id, layer.kind, layer.parent, layer.depth) == ("mine", LayerKind.ACTIVE, one, 2)
        assert rig.store.stat(LayerKey("mine")) == layer

    def test_after_commit_the_key_is_gone_and_the_name_is_a_layer(self, rig: Rig) -> None:
        key = rig.active()
        rig.write(key, lambda root: (root / "x").write_bytes(b"x"))
        layer = rig.store.commit(key, LayerName("sealed"))
        assert (layer.id, layer.kind, layer.volume, layer.depth) == ("sealed", LayerKind.COMMITTED, VOLUME, 1)
        assert layer.digest == rig.store.manifest(LayerName("sealed")).digest
        assert not layer.empty
        assert rig.store.stat(LayerName("sealed")) == layer
        with pytest.raises(LayerNotFoundError):
            rig.store.stat(key)

    def test_a_layer_that_changed_nothing_is_empty(self, rig: Rig) -> None:
        key = rig.active()
        layer = rig.store.commit(key, LayerName("nothing"))
        assert layer.empty
        assert len(rig.store.manifest(LayerName("nothing"))) == 0

    def test_prepare_refuses_a_key_that_is_taken(self, rig: Rig) -> None:
        key = rig.active()
        with pytest.raises(LayerExistsError):
            rig.store.prepare(key, None, VOLUME)
        with pytest.raises(LayerExistsError):
            rig.store.view(key, None, VOLUME)

    def test_prepare_refuses_parents_and_volumes_that_do_not_exist(self, rig: Rig) -> None:
        for make in (rig.store.prepare, rig.store.view):
            with pytest.raises(LayerNotFoundError):
                make(rig.key(), LayerName("never"), VOLUME)
            with pytest.raises(LayerNotFoundError):
                make(rig.key(), None, VolumeId("never"))

    def test_only_a_committed_layer_can_be_a_parent(self, rig: Rig) -> None:
        key = rig.active()
        for make in (rig.store.prepare, rig.store.view):
            with pytest.raises(LayerKindError):
                make(rig.key(), LayerName(key), VOLUME)

    def test_names_that_are_no_identifiers_are_refused(self, rig: Rig) -> None:
        for bad in ("../x", "", "A", "a/b", "x" * 64):
            with pytest.raises((ValueError, SandboxError)):
                rig.store.prepare(LayerKey(bad), None, VOLUME)

    def test_what_is_written_to_a_view_is_kept_nowhere(self, rig: Rig) -> None:
        one = rig.step(None, lambda root: (root / "x").write_bytes(b"x"))
        key = rig.key()
        rig.store.view(key, one, VOLUME)
        root = rig.store.mount(key, rig.new_slot())
        try:
            (root / "README").write_bytes(b"changed")
        except OSError:
            assert rig.store.late_mounts  # where a view is a mount it is a read-only one
        rig.store.unmount(key)
        rig.store.remove(key)
        assert rig.seen(one)[b"README"][2] == b"read me\n"
        assert (rig.base / "README").read_bytes() == b"read me\n"

    def test_a_view_cannot_be_committed_or_edited(self, rig: Rig) -> None:
        key = rig.key()
        rig.store.view(key, None, VOLUME)
        with pytest.raises(LayerKindError):
            rig.store.commit(key, rig.name())
        with pytest.raises(LayerKindError):
            rig.store.upper(key)

    def test_mount_refuses_what_cannot_be_mounted(self, rig: Rig) -> None:
        with pytest.raises(LayerNotFoundError):
            rig.store.mount(LayerKey("never"), rig.new_slot())
        name = rig.step(None, _nothing)
        with pytest.raises(LayerKindError):
            rig.store.mount(LayerKey(name), rig.new_slot())

    def test_an_active_layer_is_mounted_once_at_a_time(self, rig: Rig) -> None:
        key = rig.active()
        rig.store.mount(key, rig.new_slot())
        with pytest.raises(LayerInUseError):
            rig.store.mount(key, rig.new_slot())
        rig.store.unmount(key)
        rig.store.mount(key, rig.new_slot())
        rig.store.unmount(key)

    def test_what_was_written_is_there_at_the_next_mount(self, rig: Rig) -> None:
        key = rig.active()
        rig.write(key, lambda root: (root / "x").write_bytes(b"x"))
        assert (rig.store.mount(key, rig.new_slot()) / "x").read_bytes() == b"x"
        rig.store.unmount(key)

    def test_unmount_is_idempotent(self, rig: Rig) -> None:
        key = rig.active()
        rig.store.unmount(key)
        rig.store.mount(key, rig.new_slot())
        rig.store.unmount(key)
        rig.store.unmount(key)

    def test_a_mounted_layer_is_neither_edited_nor_committed(self, rig: Rig) -> None:
        key = rig.active()
        rig.store.mount(key, rig.new_slot())
        with pytest.raises(LayerInUseError):
            rig.store.upper(key)
        with pytest.raises(LayerInUseError):
            rig.store.commit(key, rig.name())
        rig.store.unmount(key)
        rig.store.commit(key, rig.name())

    def test_upper_refuses_what_is_not_an_active_layer(self, rig: Rig) -> None:
        with pytest.raises(LayerNotFoundError):
            rig.store.upper(LayerKey("never"))
        name = rig.step(None, _nothing)
        with pytest.raises(LayerKindError):
            rig.store.upper(LayerKey(name))

    def test_commit_refuses_unknown_keys_and_taken_names(self, rig: Rig) -> None:
        with pytest.raises(LayerNotFoundError):
            rig.store.commit(LayerKey("never"), rig.name())
        one = rig.step(None, _nothing)
        key = rig.active()
        with pytest.raises(LayerExistsError):
            rig.store.commit(key, one)
        rig.store.commit(key, rig.name())

    def test_a_tree_beyond_its_bounds_is_refused_and_the_layer_stays_active(self, rig: Rig) -> None:
        key = rig.active()

        def dig(root: Path) -> None:
            here = os.open(root, os.O_RDONLY)
            for _ in range(200):
                os.mkdir("d", dir_fd=here)
                below = os.open("d", os.O_RDONLY, dir_fd=here)
                os.close(here)
                here = below
            os.close(here)

        rig.write(key, dig)
        with pytest.raises(TreeRefusedError):
            rig.store.commit(key, LayerName("deep"))
        assert rig.store.stat(key).kind is LayerKind.ACTIVE
        with pytest.raises(LayerNotFoundError):
            rig.store.stat(LayerName("deep"))
        rig.store.remove(key)

    def test_more_than_the_disk_limit_is_never_committed(self, rig: Rig) -> None:
        key = rig.active()
        root = rig.store.mount(key, rig.new_slot())
        written = True
        with (root / "big").open("wb", buffering=0) as file:
            try:
                for _ in range(80):
                    file.write(os.urandom(MIB))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                written = False
        rig.store.unmount(key)
        if written:
            with pytest.raises(TreeRefusedError):
                rig.store.commit(key, rig.name())
        rig.store.remove(key)

    def test_a_removed_layer_is_gone(self, rig: Rig) -> None:
        name = rig.step(None, lambda root: (root / "x").write_bytes(b"x"))
        rig.store.remove(name)
        with pytest.raises(LayerNotFoundError):
            rig.store.stat(name)
        with pytest.raises(LayerNotFoundError):
            rig.store.remove(name)

    def test_a_mounted_layer_is_unmounted_and_removed(self, rig: Rig) -> None:
        key = rig.active()
        rig.store.mount(key, rig.new_slot())
        rig.store.remove(key)
        with pytest.raises(LayerNotFoundError):
            rig.store.mount(key, rig.new_slot())

    def test_a_layer_that_others_stand_on_stays(self, rig: Rig) -> None:
        one = rig.step(None, _nothing)
        two = rig.step(one, _nothing)
        with pytest.raises(LayerInUseError):
            rig.store.remove(one)
        rig.store.remove(two)
        key = rig.active(one)
        with pytest.raises(LayerInUseError):
            rig.store.remove(one)
        rig.store.remove(key)
        rig.store.remove(one)

    def test_walk_gives_parents_before_children_and_one_volume_alone(self, rig: Rig) -> None:
        other = VolumeId("run-2")
        rig.store.create_volume(other, rig.base, LIMIT)
        one = rig.step(None, _nothing)
        two = rig.step(one, _nothing)
        three = rig.step(two, _nothing, other)
        key = rig.active(two)
        assert [layer.id for layer in rig.store.walk()] in ([one, two, three, key], [one, two, key, three])
        assert [layer.id for layer in rig.store.walk(VOLUME)] == [one, two, key]

    def test_usage_counts_what_a_layer_holds(self, rig: Rig) -> None:
        name = rig.step(None, lambda root: (root / "x").write_bytes(os.urandom(MIB)))
        assert MIB <= rig.store.usage(name).bytes < 2 * MIB
        assert rig.store.usage(name).inodes >= 1
        held, limit = rig.store.volume_usage(VOLUME)
        assert held.bytes >= MIB
        assert 0 < limit.bytes <= LIMIT.bytes
        assert rig.store.disk_bytes(VOLUME) >= MIB
        with pytest.raises(LayerNotFoundError):
            rig.store.usage(LayerName("never"))

    def test_several_threads_use_one_store(self, rig: Rig) -> None:
        failures: list[BaseException] = []
        names: list[LayerName] = []

        def work(number: int) -> None:
            try:
                key = LayerKey(f"thread-{number}")
                rig.store.prepare(key, None, VOLUME)
                rig.write(key, lambda root: (root / f"by-{number}").write_bytes(b""))
                rig.store.commit(key, LayerName(f"done-{number}"))
                names.append(LayerName(f"done-{number}"))
            except BaseException as error:
                failures.append(error)
                raise

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        for name in names:
            number = name.rpartition("-")[2]
            assert {entry.path for entry in rig.store.manifest(name)} == {f"by-{number}".encode()}

    def test_a_chain_of_hundreds_of_layers_is_still_one_tree(self, rig: Rig) -> None:
        name: LayerName | None = None
        for number in range(620):
            name = rig.edit(name, f"file-{number % 7}", b"%d" % number)
        assert name is not None
        assert rig.store.stat(name).depth == 620
        seen = rig.seen(name)
        assert {seen[f"file-{number % 7}".encode()][2] for number in range(613, 620)} == {
            b"%d" % number for number in range(613, 620)
        }
        assert len(rig.store.merged_manifest(name)) == 7

    # -- edits without a mount -------------------------------------------------------------------

    def test_an_edit_is_seen_as_if_a_step_had_made_it(self, rig: Rig) -> None:
        def by_hand(root: Path) -> None:
            (root / "src" / "main.py").write_bytes(b"print(2)\n")
            (root / "a" / "b").mkdir(parents=True)
            (root / "a" / "b" / "new").write_bytes(b"new")
            (root / "docs" / "a.md").unlink()
            _remove(root / "src" / "deep")

        key = rig.active()
        with rig.tree(None) as below, editing(rig.store.upper(key), below) as edit:
            edit.write_file("src/main.py", b"print(2)\n")
            edit.write_file("a/b/new", b"new")
            edit.delete("docs/a.md")
            edit.delete("src/deep", recursive=True)
        name = rig.name()
        rig.store.commit(key, name)
        assert rig.seen(name) == rig.seen(rig.step(None, by_hand))

    def test_a_directory_deleted_and_made_again_by_edits_has_nothing_of_the_old_one(self, rig: Rig) -> None:
        key = rig.active()
        with rig.tree(None) as below, editing(rig.store.upper(key), below) as edit:
            edit.delete("src", recursive=True)
            edit.write_file("src/only", b"x")
        assert {p.name for p in (rig.store.mount(key, rig.new_slot()) / "src").iterdir()} == {"only"}
        rig.store.unmount(key)

    # -- reading ---------------------------------------------------------------------------------

    def test_merged_manifests_cover_the_part_of_the_chain_that_was_asked_for(self, rig: Rig) -> None:
        one = rig.step(None, lambda root: (root / "1").write_bytes(b""))
        two = rig.step(one, lambda root: (root / "2").write_bytes(b""))
        three = rig.step(two, lambda root: (root / "3").write_bytes(b""))
        side = rig.step(one, _nothing)

        def paths(manifest: Manifest) -> set[bytes]:
            return {entry.path for entry in manifest}

        assert paths(rig.store.merged_manifest(three)) == {b"1", b"2", b"3"}
        assert paths(rig.store.merged_manifest(three, one)) == {b"2", b"3"}
        assert paths(rig.store.merged_manifest(three, three)) == set()
        assert paths(rig.store.merged_manifest(None)) == set()
        for top, bottom in ((three, side), (one, three), (None, one)):
            with pytest.raises(LayerKindError):
                rig.store.merged_manifest(top, bottom)
        with pytest.raises(LayerNotFoundError):
            rig.store.merged_manifest(LayerName("never"))
        with pytest.raises(LayerNotFoundError):
            rig.store.manifest(LayerName("never"))

    def test_open_file_reads_what_the_chain_wrote_and_nothing_of_the_base(self, rig: Rig) -> None:
        one = rig.step(None, lambda root: [(root / "x").write_bytes(b"1"), (root / "y").write_bytes(b"y")])
        two = rig.step(one, lambda root: [(root / "x").write_bytes(b"2"), (root / "y").unlink()])
        with open(rig.store.open_file(two, b"x"), "rb") as file:
            assert file.read() == b"2"
        with open(rig.store.open_file(one, b"x"), "rb") as file:
            assert file.read() == b"1"
        for path in (b"y", b"README", b"src", b"never", b"../x", b"link"):
            with pytest.raises(PathRefusedError):
                rig.store.open_file(two, path)
        with pytest.raises(LayerNotFoundError):
            rig.store.open_file(LayerName("never"), b"x")

    # -- volumes ---------------------------------------------------------------------------------

    def test_create_volume_refuses_what_it_cannot_keep(self, rig: Rig, tmp_path: Path) -> None:
        with pytest.raises(LayerExistsError):
            rig.store.create_volume(VOLUME, rig.base, LIMIT)
        with pytest.raises(TreeRefusedError):
            rig.store.create_volume(VolumeId("on-a-file"), rig.base / "README", LIMIT)
        with pytest.raises(TreeRefusedError):
            rig.store.create_volume(VolumeId("on-nothing"), tmp_path / "never", LIMIT)
        with pytest.raises(HostDiskFullError):
            rig.store.create_volume(VolumeId("huge"), rig.base, DiskLimit(1 << 50, 1000))
        assert rig.store.volumes() == [VOLUME]

    @pytest.mark.root
    def test_a_base_with_something_mounted_in_it_is_refused(self, rig: Rig) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "none", rig.base / "docs"], check=True)
        try:
            with pytest.raises(TreeRefusedError):
                rig.store.create_volume(VolumeId("mounted"), rig.base, LIMIT)
        finally:
            subprocess.run(["umount", rig.base / "docs"], check=True)

    def test_a_store_that_is_opened_again_has_everything(self, rig: Rig, stores: Callable[[], LayerStore]) -> None:
        one = rig.step(None, lambda root: (root / "x").write_bytes(b"x"))
        two = rig.step(one, lambda root: (root / "README").unlink())
        seen, rows = rig.seen(two), list(rig.store.walk())
        rig.store.close()
        again = Rig(stores(), rig.base, rig.new_slot)
        again._number = 100
        assert list(again.store.walk()) == rows
        with pytest.raises(LayerNotFoundError):
            again.active(two)
        again.store.open_volume(VOLUME)
        again.store.open_volume(VOLUME)
        assert again.seen(two) == seen

    def test_opening_a_volume_that_does_not_exist_is_refused(self, rig: Rig) -> None:
        with pytest.raises(LayerNotFoundError):
            rig.store.open_volume(VolumeId("never"))

    def test_a_layer_that_was_changed_on_disk_is_found_out(self, rig: Rig, stores: Callable[[], LayerStore]) -> None:
        name = rig.step(None, lambda root: (root / "x").write_bytes(b"x"))
        fd = rig.store.open_file(name, b"x")
        with open(f"/proc/self/fd/{fd}", "ab") as file:
            file.write(b"and more")
        os.close(fd)
        rig.store.close()
        with pytest.raises(LayerCorruptError) as caught:
            stores().open_volume(VOLUME)
        assert caught.value.layer == name

    def test_a_fork_stands_on_a_layer_of_another_volume(self, rig: Rig, stores: Callable[[], LayerStore]) -> None:
        one = rig.step(None, lambda root: (root / "x").write_bytes(b"x"))
        fork = VolumeId("fork")
        rig.store.create_volume(fork, rig.base, LIMIT)
        two = rig.step(one, lambda root: (root / "y").write_bytes(b"y"), fork)
        assert rig.store.stat(two).depth == 2
        assert {b"x", b"y"} <= rig.seen(two, fork).keys()
        rig.store.close()
        again = stores()
        again.open_volume(fork)  # and with it the volume that it stands on
        reopened = Rig(again, rig.base, rig.new_slot)
        reopened._number = 100
        assert {b"x", b"y"} <= reopened.seen(two, fork).keys()
        again.remove(reopened.active(one, fork))
        again.close_volume(fork)
        with pytest.raises(LayerInUseError):
            again.remove_volume(VOLUME)
        again.remove_volume(fork)
        again.remove_volume(VOLUME)
        assert again.volumes() == []

    def test_an_empty_layer_is_enough_to_stand_on_another_volume(
        self, rig: Rig, stores: Callable[[], LayerStore]
    ) -> None:
        one = rig.step(None, lambda root: (root / "x").write_bytes(b"x"))
        fork = VolumeId("fork")
        rig.store.create_volume(fork, rig.base, LIMIT)
        start = rig.name()
        rig.store.commit(rig.active(one, fork), start)
        assert rig.store.stat(start).empty
        rig.store.close()
        again = stores()
        again.open_volume(fork)
        reopened = Rig(again, rig.base, rig.new_slot)
        reopened._number = 100
        assert reopened.seen(start, fork)[b"x"][2] == b"x"
        two = reopened.step(start, lambda root: (root / "y").write_bytes(b"y"), fork)
        assert [entry.path for entry in again.merged_manifest(two)] == [b"x", b"y"]
        assert [entry.path for entry in again.merged_manifest(two, start)] == [b"y"]
        with pytest.raises(LayerInUseError):
            again.remove(one)
        again.close()
        third = stores()
        with pytest.raises(LayerInUseError):
            third.remove_volume(VOLUME)
        third.remove_volume(fork)
        third.remove_volume(VOLUME)

    def test_what_one_process_stands_on_another_cannot_remove(self, rig: Rig, stores: Callable[[], LayerStore]) -> None:
        one = rig.step(None, lambda root: (root / "x").write_bytes(b"x"))
        other = stores()
        fork = VolumeId("fork")
        other.create_volume(fork, rig.base, LIMIT)
        with other.using(VOLUME):
            other.prepare(LayerKey("start"), one, fork)
        with pytest.raises(LayerInUseError):
            rig.store.remove(one)
        other.commit(LayerKey("start"), LayerName("start-1"))
        with pytest.raises(LayerInUseError):
            rig.store.remove(one)
        other.remove(LayerName("start-1"))
        rig.store.remove(one)
        with pytest.raises(LayerNotFoundError), other.using(VOLUME):
            other.prepare(LayerKey("late"), one, fork)

    def test_a_volume_in_use_stays_open_whoever_closes_it(self, rig: Rig) -> None:
        one = rig.step(None, lambda root: (root / "x").write_bytes(b"x"))
        with rig.store.using(VOLUME), rig.store.using(VOLUME):
            rig.store.close_volume(VOLUME)
            assert rig.seen(one)[b"x"][2] == b"x"
        with pytest.raises(LayerNotFoundError):
            rig.active(one)
        with rig.store.using(VOLUME):
            rig.active(one)
        with pytest.raises(LayerNotFoundError):
            rig.active(one)

    def test_using_a_volume_does_not_close_it_for_who_opened_it(self, rig: Rig) -> None:
        key = rig.active()
        place = rig.store.mount(key, rig.new_slot())
        with rig.store.using(VOLUME):
            (place / "x").write_bytes(b"x")
        (place / "y").write_bytes(b"y")
        rig.store.unmount(key)
        one = rig.name()
        rig.store.commit(key, one)
        assert {b"x", b"y"} <= rig.seen(one).keys()
        with pytest.raises(LayerNotFoundError), rig.store.using(VolumeId("none")):
            pass

    def test_a_layer_that_goes_while_its_volume_is_opened_is_no_damage(
        self, rig: Rig, stores: Callable[[], LayerStore], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = rig.step(None, lambda root: (root / "x").write_bytes(b"x"))
        going = [rig.step(one, lambda root: (root / "y").write_bytes(b"y"))]
        other: Any = stores()
        listed = other._register.of_volume

        def listed_before_it_goes(volume: VolumeId) -> object:
            rows = listed(volume)
            while going:
                rig.store.remove(going.pop())
            return rows

        monkeypatch.setattr(other._register, "of_volume", listed_before_it_goes)
        other.open_volume(VOLUME)
        assert not going
        assert [entry.path for entry in other.merged_manifest(one)] == [b"x"]

    def test_a_store_may_be_closed_while_a_volume_is_in_use(self, rig: Rig) -> None:
        with rig.store.using(VOLUME):
            rig.store.close()

    def test_an_open_volume_is_not_removed(self, rig: Rig, stores: Callable[[], LayerStore]) -> None:
        with pytest.raises(LayerInUseError):
            rig.store.remove_volume(VOLUME)
        other = stores()
        with pytest.raises(LayerInUseError):
            other.remove_volume(VOLUME)
        rig.store.close_volume(VOLUME)
        rig.store.close_volume(VOLUME)
        other.remove_volume(VOLUME)
        assert rig.store.volumes() == []
        with pytest.raises(LayerNotFoundError):
            rig.store.open_volume(VOLUME)

    def test_a_closed_volume_takes_no_layers(self, rig: Rig) -> None:
        rig.store.close_volume(VOLUME)
        with pytest.raises(LayerNotFoundError):
            rig.active()
        rig.store.open_volume(VOLUME)
        rig.active()

    # -- care ------------------------------------------------------------------------------------

    def test_cleanup_removes_what_no_row_names_and_nothing_else(
        self, rig: Rig, leave_rubbish: Callable[[LayerStore], Path]
    ) -> None:
        one = rig.step(None, lambda root: (root / "x").write_bytes(b"x"))
        key = rig.active(one)
        assert rig.store.cleanup() == []
        rubbish = leave_rubbish(rig.store)
        assert rubbish.exists()
        assert len(rig.store.cleanup()) >= 1
        assert not rubbish.exists()
        assert rig.seen(one)[b"x"][2] == b"x"
        rig.write(key, lambda root: (root / "y").write_bytes(b"y"))
        assert rig.store.cleanup() == []

    def test_close_is_idempotent(self, rig: Rig) -> None:
        rig.store.close()
        rig.store.close()


def _remove(directory: Path) -> None:
    subprocess.run(["rm", "-r", directory], check=True)
