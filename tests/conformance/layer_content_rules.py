"""Rules of `LayerStore`: what a step sees of the layers below it and of the base, and what the mask keeps from it."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.errors import (
    PathRefusedError,
)
from sandbox.workspace.changes import ChangeKind, changes
from sandbox.workspace.manifest import Entry, EntryKind, Manifest
from sandbox.workspace.store import LayerStore
from tests.conformance.layer_rig import LIMIT, MIB, VOLUME, Rig, StoreFixtures, remove_tree, snapshot, snapshot_of_tree


class LayerContentRules(StoreFixtures):
    """What is in layers."""

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
            remove_tree(root / "src")
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
            remove_tree(root / "docs")
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
            remove_tree(root / "src" / "deep")
            (root / "src" / "deep").mkdir()
            (root / "README").unlink()
            (root / "docs" / "b").mkdir(mode=0o700)
            (root / "docs" / "b" / "c").write_bytes(b"c")

        one = rig.step(None, change)
        two = rig.step(one, lambda root: [remove_tree(root / "docs"), (root / "README").symlink_to("x")])
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
