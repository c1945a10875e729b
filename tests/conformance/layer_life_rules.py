"""Rules of `LayerStore`: the life of one layer from `prepare` to `remove`, and what is read of it meanwhile."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from sandbox.errors import (
    LayerExistsError,
    LayerInUseError,
    LayerKindError,
    LayerNotFoundError,
    PathRefusedError,
    SandboxError,
    TreeRefusedError,
)
from sandbox.workspace.edit import editing
from sandbox.workspace.layer import LayerKey, LayerKind, LayerName, VolumeId
from sandbox.workspace.manifest import Manifest
from tests.conformance.layer_rig import LIMIT, MIB, VOLUME, Rig, StoreFixtures, nothing, remove_tree


class LayerLifeRules(StoreFixtures):
    """What layers go through."""

    # -- life of a layer -------------------------------------------------------------------------

    def test_prepare_gives_an_empty_active_layer(self, rig: Rig) -> None:
        one = rig.step(None, nothing)
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
        name = rig.step(None, nothing)
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
        name = rig.step(None, nothing)
        with pytest.raises(LayerKindError):
            rig.store.upper(LayerKey(name))

    def test_commit_refuses_unknown_keys_and_taken_names(self, rig: Rig) -> None:
        with pytest.raises(LayerNotFoundError):
            rig.store.commit(LayerKey("never"), rig.name())
        one = rig.step(None, nothing)
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
        one = rig.step(None, nothing)
        two = rig.step(one, nothing)
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
        one = rig.step(None, nothing)
        two = rig.step(one, nothing)
        three = rig.step(two, nothing, other)
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
            remove_tree(root / "src" / "deep")

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
        side = rig.step(one, nothing)

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
