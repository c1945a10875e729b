"""Trees that hostile code wrote are read within bounds, never followed, and deleted whatever their shape."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.errors import PathRefusedError, TreeRefusedError
from sandbox.workspace import beneath
from sandbox.workspace.beneath import mounts_below, open_beneath, open_by_parts, open_directory
from sandbox.workspace.manifest import Entry, EntryKind, Manifest
from sandbox.workspace.tree import (
    TreeLimits,
    digest_of,
    open_regular,
    opened,
    read_regular,
    rmtree,
    scan,
    walk,
)
from tests.unit.sandbox.workspace.ordinary_user import as_ordinary_user

OPENERS = [open_beneath, open_by_parts]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def scanned(root: Path, **options: object) -> Manifest:
    with opened(root) as fd:
        return scan(fd, **options)  # type: ignore[arg-type]


def entry_at(root: Path, path: bytes) -> Entry:
    entry = scanned(root).get(path)
    assert entry is not None
    return entry


def nested(root: Path, levels: int) -> None:
    here = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


@contextmanager
def mounted(*arguments: str | Path) -> Iterator[None]:
    subprocess.run(["mount", *arguments], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", arguments[-1]], check=True)


# -- opening -------------------------------------------------------------------------------------


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(
    ("path", "code"),
    [
        (b"link/x", errno.ELOOP),
        (b"dir/out", errno.ELOOP),
        (b"loop", errno.ELOOP),
        (b"/etc/passwd", errno.EXDEV),
        (b"../outside", errno.EXDEV),
        (b"dir/../../outside", errno.EXDEV),
        (b"never", errno.ENOENT),
    ],
)
def test_no_way_leads_out_of_the_tree(
    root: Path, opener: Callable[[int, bytes, int], int], path: bytes, code: int
) -> None:
    (root.parent / "outside").write_bytes(b"outside")
    (root / "dir").mkdir()
    (root / "link").symlink_to("dir")
    (root / "dir" / "out").symlink_to("../../outside")
    (root / "loop").symlink_to("loop")
    with opened(root) as fd, pytest.raises(OSError) as caught:
        os.close(opener(fd, path, os.O_RDONLY | os.O_NOFOLLOW))
    assert caught.value.errno == code


@pytest.mark.parametrize("opener", OPENERS)
def test_what_is_inside_is_opened(root: Path, opener: Callable[[int, bytes, int], int]) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "c").write_bytes(b"content")
    (root / "link").symlink_to("/nowhere")
    with opened(root) as fd:
        with open(opener(fd, b"a/b/c", os.O_RDONLY), "rb") as file:
            assert file.read() == b"content"
        os.close(opener(fd, b".", os.O_RDONLY | os.O_DIRECTORY))
        link = opener(fd, b"link", os.O_PATH | os.O_NOFOLLOW)
        assert os.readlink(b"", dir_fd=link) == b"/nowhere"
        os.close(link)


@pytest.mark.parametrize("opener", OPENERS)
def test_descriptors_are_closed_on_exec(root: Path, opener: Callable[[int, bytes, int], int]) -> None:
    (root / "x").write_bytes(b"")
    with opened(root) as fd:
        opened_file = opener(fd, b"x", os.O_RDONLY)
        assert not os.get_inheritable(opened_file)
        os.close(opened_file)


@pytest.mark.root
@pytest.mark.parametrize("opener", OPENERS)
def test_a_bind_mount_of_the_same_file_system_is_not_crossed(
    root: Path, opener: Callable[[int, bytes, int], int]
) -> None:
    (root.parent / "other").mkdir()
    (root.parent / "other" / "x").write_bytes(b"")
    (root / "here").mkdir()
    with mounted("--bind", root.parent / "other", root / "here"), opened(root) as fd:
        with pytest.raises(OSError) as caught:
            os.close(opener(fd, b"here/x", os.O_RDONLY))  # or it could not be unmounted
        assert caught.value.errno == errno.EXDEV


def test_without_openat2_the_parts_are_walked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beneath, "_OPENAT2", 100_000)
    (root / "a").mkdir()
    (root / "a" / "x").write_bytes(b"content")
    (root / "link").symlink_to("a")
    with opened(root) as fd:
        os.close(open_beneath(fd, b"a/x", os.O_RDONLY))
        with pytest.raises(OSError) as caught:
            open_beneath(fd, b"link/x", os.O_RDONLY)
        assert caught.value.errno == errno.ELOOP
    assert scanned(root).get(b"a/x") is not None


def test_only_regular_files_are_opened_for_reading(root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "dir").mkdir()
    (root / "link").symlink_to("dir")
    with opened(root) as fd:
        for path in (b"fifo", b"dir", b"link", b"never", b"dir/../x", b"/dev/null"):
            with pytest.raises(PathRefusedError):
                open_regular(fd, path)


def test_a_socket_is_refused_by_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # a socket's path may have 107 bytes only
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
    with opened(root) as fd, pytest.raises(PathRefusedError, match="not a regular file"):
        open_regular(fd, b"sock")


def test_reading_stops_at_the_cap(root: Path) -> None:
    (root / "x").write_bytes(b"12345")
    with opened(root) as fd:
        assert read_regular(fd, b"x", 5) == b"12345"
        with pytest.raises(TreeRefusedError, match="larger than 4 bytes"):
            read_regular(fd, b"x", 4)


def test_the_root_of_a_tree_is_no_link(root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    for path in (root.parent / "link", root.parent / "never"):
        with pytest.raises(TreeRefusedError):
            open_directory(path)


def test_a_root_without_rights_is_opened_by_its_owner(root: Path) -> None:
    (root / "upper").mkdir()
    (root / "upper" / "x").write_bytes(b"")
    (root / "upper").chmod(0)

    def work() -> None:
        assert len(scanned(Path("upper"))) == 1

    as_ordinary_user(root, work)


def test_a_file_that_changes_while_it_is_read_is_refused(root: Path) -> None:
    (root / "x").write_bytes(b"12345")
    for size in (4, 6):
        with (root / "x").open("rb") as file, pytest.raises(TreeRefusedError, match="changed"):
            digest_of(file.fileno(), size, b"x")


@pytest.mark.root
def test_mounts_below_a_directory_are_found_whatever_their_names(root: Path) -> None:
    odd = root / "odd \\ name\n"
    odd.mkdir()
    with mounted("-t", "tmpfs", "none", odd):
        assert mounts_below(root) == [os.fsencode(odd)]
        assert mounts_below(odd) == []
    assert mounts_below(root) == []


# -- scanning ------------------------------------------------------------------------------------


def test_a_scan_records_every_kind_and_opens_no_special_file(root: Path) -> None:
    (root / "dir").mkdir(mode=0o750)
    (root / "dir" / "file").write_bytes(b"hello")
    (root / "dir" / "file").chmod(0o4711)
    os.utime(root / "dir" / "file", ns=(0, 123_456_789))
    (root / "link").symlink_to(b"/etc/\xff".decode("utf-8", "surrogateescape"))
    os.mkfifo(root / "fifo", 0o600)
    os.mknod(root / "gone", stat.S_IFCHR)
    manifest = scanned(root)
    assert {entry.path: entry.kind for entry in manifest} == {
        b"dir": EntryKind.DIRECTORY,
        b"dir/file": EntryKind.FILE,
        b"link": EntryKind.SYMLINK,
        b"fifo": EntryKind.FIFO,
        b"gone": EntryKind.WHITEOUT,
    }
    assert manifest.get(b"dir/file") == Entry(
        b"dir/file",
        EntryKind.FILE,
        0o4711,
        5,
        123_456_789,
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    )
    assert entry_at(root, b"link").target == b"/etc/\xff"
    assert manifest.get(b"gone") == Entry(b"gone", EntryKind.WHITEOUT)


def test_an_empty_tree_is_an_empty_manifest(root: Path) -> None:
    assert scanned(root) == Manifest()


def test_user_attributes_are_recorded_sorted(root: Path) -> None:
    (root / "x").write_bytes(b"")
    os.setxattr(root / "x", "user.b", b"\0")
    os.setxattr(root / "x", "user.a", b"1")
    assert entry_at(root, b"x").xattrs == ((b"user.a", b"1"), (b"user.b", b"\0"))


def test_names_of_one_file_are_linked_to_the_first_in_order(root: Path) -> None:
    (root / "z").write_bytes(b"same")
    (root / "d").mkdir()
    os.link(root / "z", root / "d" / "x")
    os.link(root / "z", root / "e")
    manifest = scanned(root)
    linked = {entry.path: entry.link for entry in manifest if entry.kind is EntryKind.FILE}
    assert linked == {b"d/x": None, b"e": b"d/x", b"z": b"d/x"}
    assert len({entry.digest for entry in manifest if entry.digest}) == 1


def test_directories_known_to_be_opaque_are_marked(root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    manifest = scanned(root, opaque={b"a/b"})
    assert [entry.path for entry in manifest if entry.opaque] == [b"a/b"]


@pytest.mark.root
def test_root_reads_the_opaque_mark_itself(root: Path) -> None:
    (root / "a").mkdir()
    (root / "b").mkdir()
    os.setxattr(root / "a", "trusted.overlay.opaque", b"y")
    os.setxattr(root / "b", "trusted.overlay.impure", b"y")
    assert [entry.path for entry in scanned(root) if entry.opaque] == [b"a"]


@pytest.mark.root
@pytest.mark.parametrize("name", ["trusted.overlay.redirect", "trusted.overlay.metacopy"])
def test_marks_of_features_that_our_mounts_turn_off_are_refused(root: Path, name: str) -> None:
    (root / "a").mkdir()
    os.setxattr(root / "a", name, b"/elsewhere")
    with pytest.raises(TreeRefusedError, match="overlay"):
        scanned(root)


@pytest.mark.parametrize("name", ["opaque", "whiteout", "redirect", "anything"])
def test_forged_overlay_attributes_are_refused(root: Path, name: str) -> None:
    (root / "a").mkdir()
    os.setxattr(root / "a", f"user.overlay.{name}", b"y")
    with pytest.raises(TreeRefusedError, match="overlay"):
        scanned(root)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (TreeLimits(entries=4), "more than 4 entries"),
        (TreeLimits(depth=2), "deeper than 2 levels"),
        (TreeLimits(path_bytes=6), "longer than 6 bytes"),
        (TreeLimits(file_bytes=999), "larger than 999 bytes"),
        (TreeLimits(total_bytes=2999), "more than 2999 logical bytes"),
        (TreeLimits(xattr_bytes=9), "more than 9 bytes of attributes"),
    ],
)
def test_a_bound_holds_exactly(root: Path, limits: TreeLimits, reason: str) -> None:
    (root / "d" / "e").mkdir(parents=True)
    (root / "d" / "e" / "abc").write_bytes(b"x" * 1000)
    os.link(root / "d" / "e" / "abc", root / "link1")
    os.link(root / "d" / "e" / "abc", root / "link2")
    os.setxattr(root / "d", "user.x", b"1234")
    exact = TreeLimits(entries=5, depth=3, path_bytes=7, file_bytes=1000, total_bytes=3000, xattr_bytes=10)
    assert len(scanned(root, limits=exact)) == 5
    with pytest.raises(TreeRefusedError, match=reason):
        scanned(root, limits=limits)


def test_a_huge_sparse_file_is_refused_without_reading_it(root: Path) -> None:
    with (root / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(TreeRefusedError, match="0 on disk"):
        scanned(root)


def test_a_refusal_names_the_path_escaped(root: Path) -> None:
    (root / "evil\x1b[2J").write_bytes(b"x" * 10)
    with pytest.raises(TreeRefusedError) as caught:
        scanned(root, limits=TreeLimits(file_bytes=1))
    assert caught.value.path == r"evil\x1b[2J"


def test_a_tree_of_any_depth_is_refused_by_its_depth(root: Path) -> None:
    nested(root, 3000)
    with pytest.raises(TreeRefusedError, match="deeper than 128 levels"):
        scanned(root)
    with opened(root.parent) as fd:
        rmtree(fd, b"root")


def test_a_walk_holds_the_same_few_descriptors_at_any_depth(root: Path) -> None:
    nested(root, 100)
    with opened(root) as fd:
        held = {len(os.listdir("/proc/self/fd")) for _ in walk(fd)}
    assert max(held) - min(held) <= 1


def test_entries_of_mode_000_are_read_by_their_owner_and_stay_as_they_are(root: Path) -> None:
    (root / "shut" / "in").mkdir(parents=True)
    (root / "shut" / "in" / "file").write_bytes(b"secret")
    (root / "shut" / "in" / "file").chmod(0)
    (root / "shut" / "in").chmod(0o311)
    (root / "shut").chmod(0)

    def work() -> None:
        manifest = scanned(Path("."))
        modes = {entry.path: entry.mode for entry in manifest}
        assert modes == {b"shut": 0, b"shut/in": 0o311, b"shut/in/file": 0}
        digests = [entry.digest for entry in manifest if entry.digest]
        assert digests == ["2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"]
        assert stat.S_IMODE(os.stat("shut").st_mode) == 0

    as_ordinary_user(root, work)
    if os.geteuid() == 0:
        assert stat.S_IMODE((root / "shut" / "in" / "file").stat().st_mode) == 0
        assert stat.S_IMODE((root / "shut" / "in").stat().st_mode) == 0o311


@pytest.mark.root
def test_what_belongs_to_somebody_else_and_is_shut_is_refused(root: Path) -> None:
    (root / "theirs").mkdir()
    (root / "theirs").chmod(0o700)

    def work() -> None:
        with pytest.raises(TreeRefusedError, match="cannot be read"):
            scanned(Path("."))

    as_ordinary_user(root, work, owned=False)


@pytest.mark.root
def test_a_mount_inside_the_tree_is_refused(root: Path) -> None:
    (root.parent / "other").mkdir()
    (root / "here").mkdir()
    for arguments in (("-t", "tmpfs", "none"), ("--bind", root.parent / "other")):
        with mounted(*arguments, root / "here"), pytest.raises(TreeRefusedError, match="mounted"):
            scanned(root)


@pytest.mark.root
def test_a_file_mounted_over_a_file_is_refused(root: Path) -> None:
    (root.parent / "other").write_bytes(b"other")
    (root / "here").write_bytes(b"here")
    with mounted("--bind", root.parent / "other", root / "here"), pytest.raises(TreeRefusedError, match="mounted"):
        scanned(root)


# -- deleting ------------------------------------------------------------------------------------


def removed(root: Path, name: bytes) -> int:
    with opened(root) as fd:
        return rmtree(fd, name)


def test_a_tree_too_deep_for_any_path_is_deleted(root: Path) -> None:
    nested(root, 6000)
    assert removed(root.parent, b"root") == 6001
    assert not root.exists()


def test_everything_in_a_tree_is_deleted_and_counted(root: Path) -> None:
    for name in ("a", "b"):
        (root / "t" / name / "empty").mkdir(parents=True)
        (root / "t" / name / "new\nline").write_bytes(b"")
        os.mkfifo(root / "t" / name / "fifo")
    os.mknod(root / "t" / "gone", stat.S_IFCHR)
    assert removed(root, b"t") == 10
    assert list(root.iterdir()) == []


def test_deleting_follows_no_link(root: Path) -> None:
    (root / "kept").mkdir()
    (root / "kept" / "file").write_bytes(b"")
    (root / "t").mkdir()
    (root / "t" / "link").symlink_to("../kept")
    (root / "direct").symlink_to("kept")
    assert removed(root, b"t") == 2
    assert removed(root, b"direct") == 1
    assert (root / "kept" / "file").exists()


def test_deleting_what_is_not_there_is_no_error(root: Path) -> None:
    assert removed(root, b"never") == 0


def test_directories_of_mode_000_are_deleted_by_their_owner(root: Path) -> None:
    (root / "t" / "a" / "b").mkdir(parents=True)
    (root / "t" / "a" / "b" / "file").write_bytes(b"")
    for path in ("t/a/b", "t/a", "t"):
        (root / path).chmod(0)
    as_ordinary_user(root, lambda: _removes_all(Path(".")))


def _removes_all(root: Path) -> None:
    assert removed(root, b"t") == 4


@pytest.mark.root
@pytest.mark.parametrize("kind", ["tmpfs", "directory", "file"])
def test_nothing_mounted_is_emptied_or_deleted(root: Path, kind: str) -> None:
    other = root.parent / "other"
    here = root / "t" / "here"
    (root / "t").mkdir()
    if kind == "file":
        other.write_bytes(b"precious")
        here.write_bytes(b"")
    else:
        other.mkdir()
        (other / "precious").write_bytes(b"precious")
        here.mkdir()
    arguments = ("-t", "tmpfs", "none") if kind == "tmpfs" else ("--bind", other)
    with mounted(*arguments, here):
        with pytest.raises(TreeRefusedError, match="mounted"):
            removed(root, b"t")
        assert (other if kind == "file" else other / "precious").read_bytes() == b"precious"
