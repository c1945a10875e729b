"""Volumes: hard limits, one mount for all processes, and room given back and taken again."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.errors import HostDiskFullError, LayerExistsError, LayerNotFoundError, MountError
from sandbox.workspace import kernel, volumes
from sandbox.workspace.layer import DiskLimit, VolumeId
from sandbox.workspace.mounts import KernelMounter
from sandbox.workspace.volumes import FormatError, Volumes, reserve

pytestmark = pytest.mark.root

MIB = 1 << 20
LIMIT = DiskLimit(32 * MIB, 1000)
ONE = VolumeId("one")
OWNER = (1234, 4321)

Make = Callable[[], Volumes]


@pytest.fixture
def make(disk_tmp: Path) -> Iterator[Make]:
    """Volumes over one directory, as another process would open them."""
    made: list[Volumes] = []

    def one_more() -> Volumes:
        made.append(Volumes(disk_tmp, disk_tmp / "mnt", KernelMounter()))
        return made[-1]

    yield one_more
    for each in made:
        each.close(ONE)
    assert kernel.mounts_below(os.fspath(disk_tmp)) == []


def created(volumes: Volumes) -> Path:
    volumes.create(ONE, LIMIT, OWNER)
    volumes.publish(ONE, LIMIT)
    return volumes.path(ONE)


def fill(path: Path, file_bytes: int) -> None:
    for number in itertools.count():
        (path / str(number)).write_bytes(os.urandom(file_bytes))


def test_a_new_volume_is_all_allocated_empty_and_its_owners(make: Make, disk_tmp: Path) -> None:
    volumes = make()
    path = created(volumes)
    status = path.stat()
    assert (status.st_uid, status.st_gid) == OWNER
    assert volumes.disk_bytes(ONE) >= LIMIT.bytes
    assert 0 < volumes.capacity(ONE, LIMIT).bytes <= LIMIT.bytes
    assert volumes.capacity(ONE, LIMIT).inodes <= LIMIT.inodes
    assert os.listdir(path) == ["lost+found"]
    assert [m.type for m in kernel.mounts() if m.target == os.fspath(path)] == ["ext4"]


@pytest.mark.parametrize("write", ["bytes", "inodes"])
def test_a_volume_is_full_at_its_limit_and_not_before(make: Make, write: str) -> None:
    volumes = make()
    path = created(volumes)
    with pytest.raises(OSError, match="space") as caught:
        fill(path, MIB if write == "bytes" else 0)
    assert caught.value.errno == errno.ENOSPC
    written = len(os.listdir(path)) - len(["lost+found", "the one that did not fit"])
    held, limit = volumes.usage(ONE), volumes.capacity(ONE, LIMIT)
    if write == "bytes":
        assert 20 <= written <= 32
        assert limit.bytes - held.bytes < 128 * 1024
    else:
        assert 900 <= written + 1 <= 1000
        assert limit.inodes - held.inodes < 2


def test_a_closed_volume_costs_what_it_holds_and_an_open_one_its_limit(make: Make) -> None:
    volumes = make()
    (created(volumes) / "file").write_bytes(os.urandom(2 * MIB))
    (volumes.path(ONE) / "gone").write_bytes(os.urandom(8 * MIB))
    (volumes.path(ONE) / "gone").unlink()
    volumes.close(ONE)
    assert 2 * MIB <= volumes.disk_bytes(ONE) < 8 * MIB
    volumes.open(ONE, LIMIT)
    assert volumes.disk_bytes(ONE) >= LIMIT.bytes
    assert (volumes.path(ONE) / "file").stat().st_size == 2 * MIB


def test_two_processes_use_one_mount_and_who_lets_go_last_unmounts_it(make: Make) -> None:
    first, second = make(), make()
    path = created(first)
    second.open(ONE, LIMIT)
    second.open(ONE, LIMIT)
    assert sum(m.target == os.fspath(path) for m in kernel.mounts()) == 1
    first.close(ONE)
    first.close(ONE)
    (second.path(ONE) / "file").write_bytes(b"still there")
    second.close(ONE)
    assert not path.exists()
    first.open(ONE, LIMIT)
    assert (path / "file").read_bytes() == b"still there"


def test_a_volume_that_is_being_made_is_nobody_elses(make: Make) -> None:
    first, second = make(), make()
    first.create(ONE, LIMIT, OWNER)
    with pytest.raises(LayerExistsError):
        second.create(ONE, LIMIT, OWNER)
    assert second.tidy(lambda volume: False) == []
    first.abandon(ONE)
    with pytest.raises(LayerNotFoundError):
        second.open(ONE, LIMIT)


def test_a_held_volume_is_not_removed_and_a_free_one_leaves_nothing(make: Make, disk_tmp: Path) -> None:
    first, second = make(), make()
    created(first)
    with second.removal(ONE) as free:
        assert not free
    with first.removal(ONE) as free:
        assert not free
    first.close(ONE)
    with second.removal(ONE) as free:
        assert free
    assert os.listdir(disk_tmp / "volumes") == os.listdir(disk_tmp / "mnt") == []
    assert second.disk_bytes(ONE) == 0


def test_removing_that_fails_half_way_removes_nothing(make: Make) -> None:
    volumes = make()
    created(volumes)
    volumes.close(ONE)

    def fail() -> None:
        with volumes.removal(ONE):
            raise OSError(errno.EIO, "the row cannot be removed")

    with pytest.raises(OSError, match="the row"):
        fail()
    volumes.open(ONE, LIMIT)


def test_what_a_dead_process_left_is_unmounted_and_what_nobody_knows_is_deleted(make: Make, disk_tmp: Path) -> None:
    dead, living = make(), make()
    created(dead)
    os.close(dead._held.pop(ONE))  # as its end would
    assert living.tidy(lambda volume: True) == ["mnt/volumes/one"]
    assert living.tidy(lambda volume: True) == []
    assert living.disk_bytes(ONE) < LIMIT.bytes
    assert living.tidy(lambda volume: False) == ["volumes/one"]
    assert os.listdir(disk_tmp / "volumes") == []


def test_what_is_still_used_after_its_process_died_stays_and_is_tidied_later(make: Make) -> None:
    dead, living = make(), make()
    path = created(dead)
    os.close(dead._held.pop(ONE))
    with (path / "file").open("wb"):
        assert living.tidy(lambda volume: False) == []
    assert living.tidy(lambda volume: False) == ["volumes/one"]


def test_a_host_without_room_says_so_and_keeps_nothing(
    make: Make, disk_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes = make()
    with pytest.raises(HostDiskFullError) as caught:
        volumes.create(ONE, DiskLimit(1 << 50, 1000), OWNER)
    assert caught.value.needed_bytes > caught.value.free_bytes

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(HostDiskFullError):
        volumes.create(ONE, LIMIT, OWNER)
    assert os.listdir(disk_tmp / "volumes") == []


def test_a_volume_is_never_opened_without_its_room(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    volumes = make()
    path = created(volumes)
    volumes.close(ONE)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(HostDiskFullError):
        volumes.open(ONE, LIMIT)
    assert not path.exists()
    with volumes.removal(ONE) as unheld:
        assert unheld


def test_the_smallest_and_oddest_limits_make_a_volume(make: Make) -> None:
    for limit in (DiskLimit(1, 1), DiskLimit(17 * MIB + 1, 1 << 40)):
        volumes = make()
        volumes.create(ONE, limit, OWNER)
        volumes.publish(ONE, limit)
        assert volumes.capacity(ONE, limit).bytes <= limit.bytes
        volumes.close(ONE)
        with volumes.removal(ONE):
            pass


def test_without_mkfs_the_reason_is_told(make: Make, disk_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(FormatError, match="e2fsprogs"):
        make().create(ONE, LIMIT, OWNER)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/bin/false")
    with pytest.raises(FormatError, match="ended with 1"):
        make().create(ONE, LIMIT, OWNER)
    assert os.listdir(disk_tmp / "volumes") == []


def test_an_image_that_is_damaged_is_not_opened(make: Make, disk_tmp: Path) -> None:
    volumes = make()
    created(volumes)
    volumes.close(ONE)
    with (disk_tmp / "volumes" / "one.img").open("r+b") as file:
        file.write(bytes(64 * 1024))
    with pytest.raises(MountError):
        volumes.open(ONE, LIMIT)
    with volumes.removal(ONE) as free:
        assert free


def test_reserving_again_keeps_what_is_there(disk_tmp: Path) -> None:
    image = disk_tmp / "image"
    reserve(image, MIB)
    with image.open("r+b") as file:
        file.write(b"here")
    volumes.give_back(image)
    assert image.stat().st_blocks * 512 <= 64 * 1024
    reserve(image, MIB)
    assert image.stat().st_blocks * 512 >= MIB
    assert image.read_bytes()[:4] == b"here"


def test_plain_volumes_are_directories_and_nothing_is_mounted(disk_tmp: Path) -> None:
    plain = Volumes(disk_tmp, disk_tmp / "mnt", None)
    path = created(plain)
    (path / "file").write_bytes(os.urandom(MIB))
    assert not plain.hard
    assert plain.disk_bytes(ONE) >= MIB
    assert plain.capacity(ONE, LIMIT) == LIMIT
    assert kernel.mounts_below(os.fspath(disk_tmp)) == []
    plain.close(ONE)
    assert plain.tidy(lambda volume: True) == []
    plain.open(ONE, LIMIT)
    plain.close(ONE)
    assert plain.tidy(lambda volume: False) == ["volumes/one"]
    assert not path.exists()
    with pytest.raises(HostDiskFullError):
        plain.create(ONE, DiskLimit(1 << 50, 10), OWNER)
