"""What `OverlayLayerStore` promises beyond the rules of every store: depth, owners, power cuts, dead processes."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.errors import LayerCorruptError, LayerError, LayerInUseError, LayerNotFoundError, MountError
from sandbox.spec import SANDBOX_UID
from sandbox.workspace import kernel, loopback
from sandbox.workspace.care import images_refused, overlay_refused
from sandbox.workspace.changes import BaseTree
from sandbox.workspace.edit import editing
from sandbox.workspace.layer import DiskLimit, LayerKey, LayerKind, LayerName, VolumeId
from sandbox.workspace.leases import Lease
from sandbox.workspace.manifest import Entry, EntryKind, Manifest
from sandbox.workspace.mounts import KernelMounter
from sandbox.workspace.overlay import MOST_LOWERS, OverlayLayerStore
from sandbox.workspace.register import Register
from sandbox.workspace.shelf import Shelf
from sandbox.workspace.tree import TreeLimits

pytestmark = pytest.mark.root

LIMIT = DiskLimit(bytes=64 << 20, inodes=8000)
ONE, TWO = VolumeId("one"), VolumeId("two")


class Process:
    """A store as one process has it, with its lease and slots."""

    _numbers = itertools.count(1)

    def __init__(self, root: Path, **options: TreeLimits) -> None:
        self.lease = Lease.acquire(root / "home")
        register = Register(root / "home" / "journal.db", durable=False)
        self.store = OverlayLayerStore(root / "home", register, KernelMounter(), lease=self.lease.name, **options)
        self.base = root / "base"

    def slot(self) -> Path:
        slot = self.store.slots / f"{self.lease.name}-{next(self._numbers)}"
        slot.mkdir()
        return slot

    def active(self, parent: LayerName | None = None, volume: VolumeId = ONE) -> LayerKey:
        key = LayerKey(f"key-{next(self._numbers)}")
        self.store.prepare(key, parent, volume)
        return key

    def step(self, parent: LayerName | None, write: Callable[[Path], object], volume: VolumeId = ONE) -> LayerName:
        key, name = self.active(parent, volume), LayerName(f"name-{next(self._numbers)}")
        slot = self.slot()
        write(self.store.mount(key, slot))
        self.store.unmount(key)
        slot.rmdir()
        self.store.commit(key, name)
        return name

    def edit(self, parent: LayerName | None, path: str, content: bytes, volume: VolumeId = ONE) -> LayerName:
        """A step without a mount, over a base that has nothing of this name."""
        key, name = self.active(parent, volume), LayerName(f"name-{next(self._numbers)}")
        with BaseTree(self.base) as below, editing(self.store.upper(key), below) as edit:
            edit.write_file(path, content)
        self.store.commit(key, name)
        return name

    def seen(self, parent: LayerName, volume: VolumeId = ONE) -> dict[str, bytes]:
        key = LayerKey(f"view-{next(self._numbers)}")
        self.store.view(key, parent, volume)
        slot = self.slot()
        try:
            root = self.store.mount(key, slot)
            return {os.fspath(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        finally:
            self.store.remove(key)
            slot.rmdir()

    def die(self) -> None:
        """As a kill would: the kernel drops locks and descriptors, everything else stays."""
        self.lease._path.touch()
        os.close(self.lease._fd)
        self.lease._fd = -1
        for place in self.store._open.all():
            place.shelf.close()
        self.store._open._open.clear()
        for held in (*self.store._volumes._held.values(), self.store._shared._lock):
            os.close(held)
        self.store._volumes._held.clear()
        self.store._shared._lock = -1
        self.store._register.close()


@pytest.fixture
def start(disk_tmp: Path) -> Iterator[Callable[..., Process]]:
    """Starts processes on one store over one base; they end with the test."""
    (disk_tmp / "base" / "src").mkdir(parents=True)
    (disk_tmp / "home").mkdir()
    (disk_tmp / "base" / "src" / "old").write_bytes(b"old")
    running: list[Process] = []

    def one_more(**options: TreeLimits) -> Process:
        running.append(Process(disk_tmp, **options))
        return running[-1]

    yield one_more
    for process in running:
        if process.lease._fd >= 0:
            process.store.close()
            process.lease.release()
    assert kernel.mounts_below(os.fspath(disk_tmp)) == []


@pytest.fixture
def here(start: Callable[..., Process]) -> Process:
    process = start()
    process.store.create_volume(ONE, process.base, LIMIT)
    return process


# -- depth ---------------------------------------------------------------------------------------


def _chain(here: Process, length: int, name: LayerName | None = None) -> LayerName:
    for number in range(length):
        name = here.edit(name, f"file-{number % 5}", b"%d" % number)
    assert name is not None
    return name


def test_a_chain_is_mounted_as_few_directories_and_each_commit_links_little(
    here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = itertools.count()
    real = os.link

    def link(*arguments: object, **options: object) -> None:
        next(links)
        real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", link)
    name, most_at_once, before = None, 0, 0
    for number in range(700):
        name = here.edit(name, f"file-{number % 5}", b"%d" % number)
        now = next(links)
        most_at_once, before = max(most_at_once, now - before), now
        assert here.store.lower_count(name) <= 15 * 3 + 1
    assert most_at_once <= 64 + 4 + 1
    assert name is not None
    assert here.seen(name) == {"src/old": b"old", **{f"file-{n % 5}": b"%d" % n for n in range(695, 700)}}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_thousands_of_layers_are_one_tree(start: Callable[..., Process]) -> None:
    here = start()
    here.store.create_volume(ONE, here.base, DiskLimit(256 << 20, 40_000))
    name = _chain(here, 4200)
    assert here.store.lower_count(name) <= 1 + 0 + 6 + 9 + 1
    assert here.seen(name)["file-4"] == b"4199"
    here.store.close()
    here.lease.release()
    again = start()
    again.store.open_volume(ONE)
    assert again.seen(name)["file-4"] == b"4199"
    assert len(again.store.merged_manifest(name)) == 5


def test_forks_share_segments_and_segments_go_with_their_layers(here: Process) -> None:
    trunk = _chain(here, 32)
    merged = here.store.slots.parent / "volumes" / ONE / "merged"
    assert len(os.listdir(merged)) == 2
    left, right = here.edit(trunk, "left", b""), here.edit(trunk, "right", b"")
    assert len(os.listdir(merged)) == 2
    for name in (left, right, trunk):
        here.store.remove(name)
    assert len(os.listdir(merged)) == 1


def test_a_segment_that_is_not_whole_is_thrown_away_and_nothing_is_lost(
    here: Process, start: Callable[..., Process]
) -> None:
    name = _chain(here, 20)
    volume = here.store.slots.parent / "volumes" / ONE
    (segment,) = os.listdir(volume / "merged")
    (volume / "merged" / segment / "file-1").unlink()
    here.store.close()
    here.lease.release()
    again = start()
    again.store.open_volume(ONE)
    assert os.listdir(volume / "merged") == []
    assert again.seen(name)["file-1"] == b"16"
    longer = _chain(again, 40, name)
    assert again.store.lower_count(longer) <= 16
    assert len(os.listdir(volume / "merged")) == 3


def test_a_volume_too_full_for_segments_goes_on_without(here: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    name = _chain(here, 40)
    monkeypatch.undo()
    assert here.store.lower_count(name) == 41
    assert here.seen(name)["file-4"] == b"39"
    assert os.listdir(here.store.slots.parent / "volumes" / ONE / "merged") == []


def test_layers_that_cannot_be_merged_are_refused_before_the_kernel_does(
    here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.workspace.overlay.MOST_LOWERS", 10)
    monkeypatch.setattr("sandbox.workspace.merging.SegmentKeeper.advance", lambda *_: False)
    name = _chain(here, 12)
    with pytest.raises(MountError, match="13 layers"):
        here.seen(name)
    assert MOST_LOWERS < 500


def test_steps_with_volumes_of_their_own_stand_between_the_others(here: Process, start: Callable[..., Process]) -> None:
    here.store.create_volume(TWO, here.base, LIMIT)
    name: LayerName | None = None
    for number in range(40):
        name = here.edit(name, f"file-{number}", b"%d" % number, TWO if number % 4 == 0 else ONE)
    assert name is not None
    everything = {"src/old": b"old", **{f"file-{number}": b"%d" % number for number in range(40)}}
    assert here.seen(name) == everything
    here.store.close()
    here.lease.release()
    again = start()
    again.store.open_volume(ONE)
    assert again.seen(name) == everything


# -- owners --------------------------------------------------------------------------------------


def test_on_disk_everything_belongs_to_the_bases_owner(disk_tmp: Path, start: Callable[..., Process]) -> None:
    here = start()
    for path in (here.base, here.base / "src", here.base / "src" / "old"):
        os.chown(path, 1234, 4321)
    here.store.create_volume(ONE, here.base, LIMIT)
    seen: list[os.stat_result] = []

    def write(root: Path) -> None:
        seen.extend((root.stat(), (root / "src" / "old").stat()))
        (root / "src" / "new").write_bytes(b"")
        os.chown(root / "src" / "new", SANDBOX_UID, SANDBOX_UID)

    name = here.step(None, write)
    assert {(status.st_uid, status.st_gid) for status in seen} == {(SANDBOX_UID, SANDBOX_UID)}
    (upper,) = (here.store.slots.parent / "volumes" / ONE / "layers").iterdir()
    assert {(p.stat().st_uid, p.stat().st_gid) for p in (upper, upper / "src", upper / "src" / "new")} == {(1234, 4321)}
    longer = _chain(here, 20, name)
    merged = here.store.slots.parent / "volumes" / ONE / "merged"
    (segment,) = merged.iterdir()
    assert {(segment / "src").stat().st_uid, segment.stat().st_uid} == {1234}
    assert "src/new" in here.seen(longer)


def test_a_mask_leaves_the_directories_around_what_it_hides_as_they_are(start: Callable[..., Process]) -> None:
    here = start()
    (here.base / "src").chmod(0o750)
    os.setxattr(here.base / "src", "user.x", b"of src")
    before = (here.base / "src").stat()
    here.store.create_volume(ONE, here.base, LIMIT, hide=Manifest([Entry(b"src/old", EntryKind.WHITEOUT)]))

    def look(root: Path) -> None:
        now = (root / "src").stat()
        assert (now.st_mode, now.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
        assert os.getxattr(root / "src", "user.x") == b"of src"
        assert list((root / "src").iterdir()) == []

    here.step(None, look)


# -- what is durable -----------------------------------------------------------------------------


def _after_power_cut(here: Process, image: Path, name: LayerName) -> None:
    """Verify the layer in a copy of what has reached the image: all that a power cut leaves."""
    copy, mounted = image.with_name("copy"), image.with_name("copy-mounted")
    shutil.copyfile(image, copy)
    mounted.mkdir()
    loopback.attach_image(os.fspath(copy), os.fspath(mounted))
    try:
        shelf = Shelf(mounted)
        try:
            shelf.verify(here.store._register.get(name))
        finally:
            shelf.close()
    finally:
        kernel.unmount(os.fspath(mounted))
        mounted.rmdir()
        copy.unlink()


def _write_some(root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    for number in range(50):
        (root / "a" / "b" / str(number)).write_bytes(os.urandom(5000))
    (root / "src" / "old").unlink()


def test_a_committed_layer_survives_a_power_cut(here: Process, disk_tmp: Path) -> None:
    name = here.step(None, _write_some)
    _after_power_cut(here, disk_tmp / "home" / "volumes" / "one.img", name)


def test_without_the_sync_a_power_cut_would_take_it(
    here: Process, disk_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shelf, "sync", lambda *_: None)
    name = here.step(None, _write_some)
    with pytest.raises(LayerCorruptError):
        _after_power_cut(here, disk_tmp / "home" / "volumes" / "one.img", name)


def test_what_cannot_be_put_on_the_disk_is_not_committed(here: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Shelf, layer: str) -> None:
        raise LayerError(layer, "could not be put on the disk: Input/output error")

    monkeypatch.setattr(Shelf, "sync", fail)
    key = here.active()
    (here.store.upper(key) / "x").write_bytes(b"")
    with pytest.raises(LayerError):
        here.store.commit(key, LayerName("never"))
    assert here.store.stat(key).kind is LayerKind.ACTIVE
    with pytest.raises(LayerNotFoundError):
        here.store.stat(LayerName("never"))
    monkeypatch.undo()
    here.store.commit(key, LayerName("now"))


def test_an_empty_layer_has_no_files_and_costs_no_sync(here: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Shelf, layer: str) -> None:
        raise AssertionError("there is nothing to sync")

    monkeypatch.setattr(Shelf, "sync", fail)
    name = here.step(None, lambda root: (root / "src").stat())
    passed = here.step(name, lambda root: os.utime(root / "src"))
    assert here.store.stat(name).empty
    assert here.store.stat(passed).empty
    assert len(here.store.manifest(passed)) == 0
    volume = here.store.slots.parent / "volumes" / ONE
    assert os.listdir(volume / "layers") == os.listdir(volume / "manifests") == []
    assert here.store.lower_count(passed) == 1


# -- several processes, and dead ones ------------------------------------------------------------


def test_what_a_dead_process_left_is_cleaned_and_what_a_live_one_has_stays(start: Callable[..., Process]) -> None:
    dead, living = start(), start()
    dead.store.create_volume(ONE, dead.base, LIMIT)
    living.store.create_volume(TWO, living.base, LIMIT)
    name = dead.step(None, lambda root: (root / "x").write_bytes(b"x"))
    lost, kept = dead.active(name), living.active(None, TWO)
    (dead.store.upper(lost) / "y").write_bytes(b"")
    slot = dead.slot()
    dead.store.mount(dead.active(name), slot)
    assert living.store.cleanup() == []
    dead.die()
    removed = living.store.cleanup()
    assert {lost, f"mnt/volumes/{ONE}", f"mnt/slots/{slot.name}"} <= set(removed)
    assert living.store.cleanup() == []
    assert [layer.id for layer in living.store.walk()] == [name, kept]
    living.store.open_volume(ONE)
    assert living.seen(name) == {"src/old": b"old", "x": b"x"}
    assert len(os.listdir(living.store.slots.parent / "volumes" / ONE / "layers")) == 1


def test_a_volume_that_two_processes_have_open_stays_for_the_second(
    here: Process, start: Callable[..., Process]
) -> None:
    name = here.step(None, lambda root: (root / "x").write_bytes(b"x"))
    other = start()
    other.store.open_volume(ONE)
    here.store.close()
    here.lease.release()
    assert other.seen(name)["x"] == b"x"
    with pytest.raises(LayerInUseError):
        start().store.remove_volume(ONE)


def test_an_active_layer_whose_directory_is_gone_can_be_removed(here: Process) -> None:
    key = here.active()
    here.store.upper(key).rmdir()
    here.store.remove(key)
    with pytest.raises(LayerNotFoundError):
        here.store.stat(key)


def test_removing_a_layer_of_a_closed_volume_takes_its_files_at_the_next_opening(here: Process) -> None:
    name = here.step(None, lambda root: (root / "x").write_bytes(b"x"))
    here.store.close_volume(ONE)
    here.store.remove(name)
    here.store.open_volume(ONE)
    volume = here.store.slots.parent / "volumes" / ONE
    assert os.listdir(volume / "layers") == os.listdir(volume / "manifests") == []


def test_a_volume_that_cannot_be_made_leaves_nothing(here: Process, disk_tmp: Path) -> None:
    (here.base / "loop").symlink_to("loop")
    bad = Manifest([Entry(b"src/old/deeper", EntryKind.WHITEOUT), Entry(b"loop/x", EntryKind.WHITEOUT)])
    here.store.create_volume(TWO, here.base, LIMIT, hide=bad)  # what is not there needs no hiding
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Register, "add_volume", lambda *_: (_ for _ in ()).throw(OSError(5, "broken")))
        with pytest.raises(OSError, match="broken"):
            here.store.create_volume(VolumeId("three"), here.base, LIMIT)
    assert not list((disk_tmp / "home" / "volumes").glob("three*"))
    assert here.store.volumes() == [ONE, TWO]


def test_a_busy_mount_stays_and_can_be_unmounted_later(here: Process) -> None:
    key, slot = here.active(), here.slot()
    here.store.mount(key, slot)
    with (slot / "src" / "old").open("rb"):
        with pytest.raises(MountError) as caught:
            here.store.unmount(key)
        assert caught.value.errno == 16
        with pytest.raises(LayerInUseError):
            here.store.commit(key, LayerName("early"))
    here.store.unmount(key)
    slot.rmdir()


def test_nothing_is_mounted_outside_the_stores_shared_mount(here: Process, disk_tmp: Path) -> None:
    (disk_tmp / "elsewhere").mkdir()
    with pytest.raises(MountError, match="not below"):
        here.store.mount(here.active(), disk_tmp / "elsewhere")


def test_reading_needs_no_mount(start: Callable[..., Process], disk_tmp: Path) -> None:
    process = start()
    assert list(process.store.walk()) == []
    assert kernel.mounts_below(os.fspath(disk_tmp)) == []


def test_several_layers_of_one_volume_are_mounted_at_once(here: Process) -> None:
    one = here.step(None, lambda root: (root / "x").write_bytes(b"x"))
    keys = [here.active(one) for _ in range(3)]
    slots = [here.slot() for _ in keys]
    for key, slot in zip(keys, slots, strict=True):
        (here.store.mount(key, slot) / "mine").write_bytes(key.encode())
    for key, slot in zip(keys, slots, strict=True):
        here.store.unmount(key)
        slot.rmdir()
        assert (here.store.upper(key) / "mine").read_bytes() == key.encode()


# -- whether it works here at all ----------------------------------------------------------------


def test_a_host_that_can_is_told_so_and_nothing_is_left(here: Process, disk_tmp: Path) -> None:
    home = disk_tmp / "home"
    before = sorted(os.listdir(home / "mnt"))
    assert overlay_refused(KernelMounter(), home) is None
    assert overlay_refused(KernelMounter(), home, here.base) is None
    assert images_refused(KernelMounter(), home) is None
    assert sorted(os.listdir(home / "mnt")) == before


def test_a_host_that_cannot_says_why(here: Process, disk_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MountError("somewhere", "Operation not permitted", 1)

    monkeypatch.setattr(KernelMounter, "mount_overlay", refuse)
    monkeypatch.setattr(KernelMounter, "attach_image", refuse)
    assert overlay_refused(KernelMounter(), disk_tmp / "home") == "Operation not permitted"
    assert "Operation not permitted" in (images_refused(KernelMounter(), disk_tmp / "home") or "")
