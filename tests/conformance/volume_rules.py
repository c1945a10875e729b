"""Rules of `LayerStore`: volumes, forks that stand on other volumes, several processes on one store, and care."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import (
    HostDiskFullError,
    LayerCorruptError,
    LayerExistsError,
    LayerInUseError,
    LayerNotFoundError,
    TreeRefusedError,
)
from sandbox.workspace.layer import DiskLimit, LayerKey, LayerName, VolumeId
from sandbox.workspace.store import LayerStore
from tests.conformance.layer_rig import LIMIT, VOLUME, Rig, StoreFixtures


class VolumeRules(StoreFixtures):
    """Volumes and the store as a whole."""

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
