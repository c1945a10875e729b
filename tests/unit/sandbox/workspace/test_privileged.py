"""Mounts as the kernel takes them: read back, with owners swapped, and never more than asked for."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sandbox.spec import SANDBOX_UID
from sandbox.workspace import kernel, loopback, privileged
from tests.leftovers import child_processes

pytestmark = pytest.mark.root

SWAP = (0, 0, SANDBOX_UID)


@pytest.fixture
def ground(disk_tmp: Path) -> Iterator[Path]:
    """Directories `base`, `upper`, `work` and `target`; what is mounted below goes at the end."""
    for name in ("base", "upper", "work", "target"):
        (disk_tmp / name).mkdir()
    (disk_tmp / "base" / "file").write_bytes(b"below")
    yield disk_tmp
    for target in kernel.mounts_below(os.fspath(disk_tmp)):
        kernel.unmount(target)


def mount(ground: Path, lowers: Sequence[Path] = (), swap: tuple[int, int, int] | None = SWAP) -> Path:
    layers = [*(os.fspath(lower) for lower in lowers), os.fspath(ground / "base")]
    upper, work, target = (os.fspath(ground / name) for name in ("upper", "work", "target"))
    privileged.mount_overlay(layers, upper, work, target, swap)
    return ground / "target"


def test_owner_and_sandbox_change_places_in_every_layer_and_on_disk_nothing_changes(ground: Path) -> None:
    os.chown(ground / "base" / "file", 0, 0)
    (ground / "base" / "foreign").write_bytes(b"")
    os.chown(ground / "base" / "foreign", 1234, 4321)
    target = mount(ground)
    seen = (target / "file").stat()
    assert (seen.st_uid, seen.st_gid) == (SANDBOX_UID, SANDBOX_UID)
    assert ((target / "foreign").stat().st_uid, (target / "foreign").stat().st_gid) == (1234, 4321)
    (target / "made").write_bytes(b"")
    os.chown(target / "made", SANDBOX_UID, SANDBOX_UID)
    assert ((ground / "upper" / "made").stat().st_uid, (ground / "base" / "file").stat().st_uid) == (0, 0)


def test_a_namespace_is_made_once_and_leaves_no_process(ground: Path) -> None:
    before = set(child_processes())
    owner = 54_321  # Whom no other test has made one for.
    first = privileged.swap_namespace(owner, owner, SANDBOX_UID)
    assert privileged.swap_namespace(owner, owner, SANDBOX_UID) == first
    assert set(child_processes()) <= before


def test_mounts_take_no_setuid_and_no_devices(ground: Path) -> None:
    target = mount(ground)
    flags = os.statvfs(target).f_flag
    assert flags & os.ST_NOSUID
    assert flags & os.ST_NODEV


def test_a_mount_without_upper_is_read_only(ground: Path) -> None:
    (ground / "none").mkdir()
    lowers = [os.fspath(ground / name) for name in ("none", "base")]
    privileged.mount_overlay(lowers, None, None, os.fspath(ground / "target"), SWAP)
    with pytest.raises(OSError, match="Read-only") as caught:
        (ground / "target" / "new").write_bytes(b"")
    assert caught.value.errno == errno.EROFS


def _lowers(ground: Path, count: int) -> list[Path]:
    found = []
    for number in range(count):
        lower = ground / f"a-directory-with-a-name-that-is-rather-long-so-that-options-are-too-{number}"
        lower.mkdir()
        (lower / f"of-{number}").write_bytes(b"")
        found.append(lower)
    return found


def test_400_layers_are_all_there(ground: Path) -> None:
    target = mount(ground, _lowers(ground, 400))
    assert len(os.listdir(target)) == 401


def _without_lowerdir_plus(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel before 6.8."""

    def old(number: int, name: str, *arguments: Any) -> int:
        if name == "fsconfig(lowerdir+)":
            raise OSError(errno.EINVAL, name)
        return kernel.syscall(number, name, *arguments)

    monkeypatch.setattr(privileged, "syscall", old)


def test_an_older_kernel_is_mounted_on_by_short_names(ground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without_lowerdir_plus(monkeypatch)
    target = mount(ground, _lowers(ground, 60))
    assert len(os.listdir(target)) == 61
    assert (target / "file").stat().st_uid == SANDBOX_UID
    (target / "new").write_bytes(b"")
    assert (ground / "upper" / "new").exists()


def test_more_layers_than_an_older_kernel_takes_are_refused_and_not_cut(
    ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_lowerdir_plus(monkeypatch)
    with pytest.raises(OSError, match="more than mount") as caught:
        mount(ground, _lowers(ground, 300))
    assert caught.value.errno == errno.E2BIG
    assert kernel.mounts_below(os.fspath(ground)) == []


def test_a_mount_that_is_not_what_was_asked_for_is_taken_away(ground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = kernel.mount_of_id

    def cut(mount_id: str) -> kernel.Mounted | None:
        found = real(mount_id)
        assert found is not None
        options = found.options.replace("lowerdir+=", "cut=", 1)
        return kernel.Mounted(found.id, found.parent, found.target, found.shared, found.type, options)

    monkeypatch.setattr(kernel, "mount_of_id", cut)
    with pytest.raises(OSError, match="1 of 2 layers"):
        mount(ground, _lowers(ground, 1))
    assert kernel.mounts_below(os.fspath(ground)) == []


def test_an_upper_can_be_mounted_again_with_what_was_written_and_fsync_costs_nothing(ground: Path) -> None:
    for number in range(3):
        target = mount(ground)
        mounted = kernel.mount_at(os.fspath(target))
        assert mounted is not None
        assert "volatile" in mounted.options
        (target / f"file-{number}").write_bytes(b"")
        kernel.unmount(os.fspath(target))
    assert sorted(os.listdir(ground / "upper")) == ["file-0", "file-1", "file-2"]


def test_directories_that_another_mount_cuts_off_are_mapped_alike(ground: Path) -> None:
    (ground / "bound").mkdir()
    (ground / "elsewhere").mkdir()
    (ground / "elsewhere" / "there").write_bytes(b"")
    kernel.bind(os.fspath(ground / "elsewhere"), os.fspath(ground / "bound"))
    target = mount(ground, [ground / "bound"])
    assert (target / "there").stat().st_uid == SANDBOX_UID


def test_a_layer_that_is_a_link_is_refused(ground: Path) -> None:
    (ground / "link").symlink_to("base")
    for swap in (SWAP, None):
        with pytest.raises(OSError, match=r"directory|links"):
            mount(ground, [ground / "link"], swap)


def test_opaque_marks_are_set_and_found_again(ground: Path) -> None:
    (ground / "upper" / "a" / "b").mkdir(parents=True)
    (ground / "upper" / "link").symlink_to("a")
    privileged.set_opaque(os.fspath(ground / "upper"), [b"a/b"])
    assert privileged.opaque_directories(os.fspath(ground / "upper")) == [b"a/b"]
    for path in (b"link", b"../base", b"a/../a"):
        with pytest.raises(OSError, match=r"plain path|directory"):
            privileged.set_opaque(os.fspath(ground / "upper"), [path])


def test_discard_deletes_any_tree_but_nothing_mounted(ground: Path) -> None:
    deep = ground / "deep"
    deep.mkdir()
    here = os.open(deep, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.symlink("/etc", "link", dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    privileged.discard(os.fspath(deep))
    assert not deep.exists()
    (ground / "work" / "mounted").mkdir()
    kernel.bind(os.fspath(ground / "base"), os.fspath(ground / "work" / "mounted"))
    with pytest.raises(OSError, match="mounted") as caught:
        privileged.discard(os.fspath(ground / "work"))
    assert caught.value.errno == errno.EBUSY
    assert (ground / "base" / "file").exists()


def test_unmounting_what_is_not_mounted_or_not_there_is_nothing(ground: Path) -> None:
    assert kernel.unmount(os.fspath(ground / "base")) is False
    assert kernel.unmount(os.fspath(ground / "never")) is False
    mount(ground)
    with (ground / "target" / "file").open("rb"), pytest.raises(OSError, match="busy"):
        kernel.unmount(os.fspath(ground / "target"))


def test_a_shared_directory_is_in_a_group_of_its_own_however_often_it_is_shared(ground: Path) -> None:
    # As on a host whose root is shared: a plain bind would be in the group of what is around it.
    outer, inner = ground / "outer", ground / "outer" / "inner"
    inner.mkdir(parents=True)
    kernel.share(os.fspath(outer))
    for _ in range(2):
        kernel.share(os.fspath(inner))
    groups = [m.shared for m in kernel.mounts() if m.target in (os.fspath(outer), os.fspath(inner))]
    assert len(groups) == len(set(groups)) == 2
    assert all(groups)
    (inner / "slot").mkdir()
    kernel.bind(os.fspath(ground / "base"), os.fspath(inner / "slot"))
    assert sum(m.target.endswith("/slot") for m in kernel.mounts()) == 1


def test_names_with_blanks_and_bytes_are_found_among_the_mounts(ground: Path) -> None:
    odd = ground / "a b\tc\\d\n\udcff"
    odd.mkdir()
    kernel.bind(os.fspath(ground / "base"), os.fspath(odd))
    assert kernel.mount_at(os.fspath(odd)) is not None
    assert kernel.mounts_below(os.fspath(ground)) == [os.fspath(odd)]
    kernel.unmount(os.fspath(odd))


def test_escapes_are_undone() -> None:
    assert kernel.unescape("a\\040b\\134040c") == "a b\\040c"
    assert kernel.unescape("end\\04") == "end\\04"


@pytest.fixture
def image(ground: Path) -> Path:
    image = ground / "image"
    with image.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 16 << 20)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-b", "4096", image], check=True)
    return image


def _loops(image: Path) -> int:
    found = 0
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            found += backing.read_text().strip() == os.fspath(image)
        except OSError:
            continue  # another test's device went just now
    return found


def test_an_image_has_one_loop_device_however_often_it_is_attached_and_none_afterwards(
    ground: Path, image: Path
) -> None:
    loopback.attach_image(os.fspath(image), os.fspath(ground / "target"))
    loopback.attach_image(os.fspath(image), os.fspath(ground / "target"))
    loopback.attach_image(os.fspath(image), os.fspath(ground / "work"))
    assert _loops(image) == 1
    (ground / "target" / "file").write_bytes(b"x")
    assert (ground / "work" / "file").read_bytes() == b"x"
    flags = os.statvfs(ground / "target").f_flag
    assert flags & os.ST_NOSUID
    assert flags & os.ST_NODEV
    for name in ("target", "work"):
        kernel.unmount(os.fspath(ground / name))
    assert _loops(image) == 0


def test_what_is_no_file_system_is_refused_and_leaves_no_loop_device(ground: Path) -> None:
    image = ground / "image"
    image.write_bytes(bytes(1 << 20))
    with pytest.raises(OSError, match="mount"):
        loopback.attach_image(os.fspath(image), os.fspath(ground / "target"))
    assert _loops(image) == 0
    with pytest.raises(OSError, match="regular"):
        loopback.attach_image("/dev/null", os.fspath(ground / "target"))


def test_trimming_gives_the_blocks_of_deleted_files_back(ground: Path, image: Path) -> None:
    loopback.attach_image(os.fspath(image), os.fspath(ground / "target"))
    (ground / "target" / "big").write_bytes(os.urandom(8 << 20))
    ctypes.CDLL(None).sync()
    before = image.stat().st_blocks * 512
    (ground / "target" / "big").unlink()
    ctypes.CDLL(None).sync()
    assert loopback.trim(os.fspath(ground / "target")) > 0
    assert image.stat().st_blocks * 512 < before - (7 << 20)


def test_the_host_says_what_it_has() -> None:
    assert privileged.probe() == {"overlay": True, "lowerdir+": True, "user_namespaces": True, "loop_devices": True}


DIES_AS_IT_SPAWNS = """
import fcntl, os, signal, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from sandbox.workspace import privileged

lock = os.open(sys.argv[1], os.O_RDWR)
fcntl.flock(lock, fcntl.LOCK_EX)

class DiesAsItSpawns(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

subprocess.Popen = DiesAsItSpawns
threads = ThreadPoolExecutor()
threads.submit(privileged.swap_namespace, 1000, 1000, 64000).result()
"""


def test_the_child_that_makes_a_namespace_ends_with_a_parent_that_is_killed_and_keeps_nothing_of_it(
    tmp_path: Path,
) -> None:
    """It had outlived the parent once, with the locks of the dead for ever."""
    lock = tmp_path / "lock"
    lock.touch()
    # Returns when nobody has its output open any more.
    done = subprocess.run([sys.executable, "-c", DIES_AS_IT_SPAWNS, lock], capture_output=True, timeout=20, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


STARTS_THREADS_IN_EVERY_FORK = """
import os, threading
from sandbox.workspace import privileged

os.register_at_fork(after_in_child=threading.Thread(target=threading.Event().wait, daemon=True).start)
print(os.readlink(f"/proc/self/fd/{privileged.swap_namespace(1000, 1000, 64000)}"))
"""


def test_a_program_that_starts_threads_in_the_children_of_its_forks_gets_its_namespace() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTS_THREADS_IN_EVERY_FORK], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout.startswith("user:["), done.stderr


@pytest.mark.parametrize(
    ("program", "code", "message"),
    [
        ("", errno.ENOENT, r"unshare is missing \(package util-linux\)"),
        (
            "#!/bin/sh\necho 'unshare: failed: No space left on device' >&2; exit 1",
            errno.ENOSPC,
            "No space left",
        ),
        ("#!/bin/sh\nexit 1", errno.EIO, "it ended"),
    ],
    ids=["missing", "refused", "silent"],
)
def test_why_there_is_no_namespace_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, code: int, message: str
) -> None:
    if program:
        (tmp_path / "unshare").write_text(program)
        (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    with pytest.raises(OSError, match=message) as caught:
        privileged.swap_namespace(54_322, 54_322, SANDBOX_UID)
    assert caught.value.errno == code
