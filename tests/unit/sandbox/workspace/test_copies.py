"""Whole copies keep everything that a step could see, and two scans tell what a step changed."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import TreeRefusedError
from sandbox.workspace.copies import copy_tree, difference, lay_over
from sandbox.workspace.layer import Usage
from sandbox.workspace.manifest import Entry, EntryKind, Manifest, merge
from sandbox.workspace.measure import check_bounds, first_fault, usage_of, usage_of_entries
from sandbox.workspace.tree import DEFAULT_LIMITS, TreeLimits, opened, scan


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "d" / "e").mkdir(parents=True)
    (source / "d" / "file").write_bytes(b"content")
    (source / "d" / "file").chmod(0o4711)
    (source / "d" / "e" / "shut").write_bytes(b"")
    (source / "d" / "e" / "shut").chmod(0)
    os.link(source / "d" / "file", source / "name2")
    os.link(source / "d" / "file", source / "d" / "e" / "name3")
    (source / "link").symlink_to(b"/etc/\xff\n".decode("utf-8", "surrogateescape"))
    os.mkfifo(source / "fifo", 0o640)
    os.setxattr(source / "d" / "file", "user.f", b"\0f")
    os.setxattr(source / "d", "user.d", b"d")
    (source / "d" / "e").chmod(0o500)
    for number, path in enumerate(["d/file", "link", "fifo", "d/e", "d"]):
        os.utime(source / path, ns=(0, 1_000_000_000 + number), follow_symlinks=False)
    return source


@pytest.fixture
def target(tmp_path: Path) -> Path:
    target = tmp_path / "target"
    target.mkdir()
    return target


def copied(source: Path, target: Path, **options: object) -> Manifest:
    with opened(source) as source_fd, opened(target) as target_fd:
        copy_tree(source_fd, target_fd, **options)  # type: ignore[arg-type]
        return scan(target_fd)


def scanned(root: Path) -> Manifest:
    with opened(root) as fd:
        return scan(fd)


def file(path: bytes, digest: str = "", link: bytes | None = None) -> Entry:
    return Entry(path, EntryKind.FILE, 0o644, digest=digest, link=link)


def directory(path: bytes) -> Entry:
    return Entry(path, EntryKind.DIRECTORY, 0o755)


def gone(path: bytes) -> Entry:
    return Entry(path, EntryKind.WHITEOUT)


# -- copying -------------------------------------------------------------------------------------


def test_a_scan_cannot_tell_a_copy_from_its_source(source: Path, target: Path) -> None:
    assert copied(source, target) == scanned(source)
    assert (target / "d" / "file").stat().st_nlink == 3
    assert (target.stat().st_mode, target.stat().st_mtime_ns) == (source.stat().st_mode, source.stat().st_mtime_ns)


def test_holes_stay_holes_and_data_stays_where_it_is(source: Path, target: Path) -> None:
    with (source / "sparse").open("wb") as out:
        out.seek(1 << 20)
        out.write(b"first")
        out.seek(5 << 20)
        out.write(b"second")
        out.truncate(64 << 20)
    copied(source, target)
    assert (target / "sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (target / "sparse").stat().st_blocks == (source / "sparse").stat().st_blocks


def test_only_what_is_wanted_is_copied(source: Path, target: Path) -> None:
    manifest = copied(source, target, wanted=lambda path: not path.startswith(b"d"))
    assert [entry.path for entry in manifest] == [b"fifo", b"link", b"name2"]


def test_device_nodes_are_left_out(source: Path, target: Path) -> None:
    os.mknod(source / "whiteout", stat.S_IFCHR)
    assert copied(source, target).get(b"whiteout") is None


def test_a_copy_is_never_written_through_what_is_there(source: Path, target: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (target / "d").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="not supported"):
        copied(source, target)
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.root
def test_all_of_a_copy_belongs_to_the_owner(source: Path, target: Path) -> None:
    manifest = copied(source, target, owner=1234)
    assert {os.lstat(target / os.fsdecode(entry.path)).st_uid for entry in manifest} == {1234}
    assert manifest == scanned(source)  # changing owners took no setuid bit away


def test_a_source_beyond_its_bounds_is_refused(source: Path, target: Path) -> None:
    with pytest.raises(TreeRefusedError):
        copied(source, target, limits=TreeLimits(entries=3))


def test_a_layer_laid_over_a_copy_gives_the_merged_tree(tmp_path: Path, source: Path, target: Path) -> None:
    before = copied(source, target)
    merged = tmp_path / "merged"
    merged.mkdir()
    copied(source, merged)
    (merged / "fifo").unlink()
    (merged / "fifo").mkdir()
    (merged / "fifo" / "in").write_bytes(b"in")
    (merged / "d" / "e").chmod(0o700)
    (merged / "d" / "e" / "shut").unlink()
    (merged / "link").unlink()
    (merged / "link").write_bytes(b"a file now")
    layer = difference(before, scanned(merged))
    with opened(target) as target_fd, opened(merged) as merged_fd:
        lay_over(target_fd, layer, merged_fd, None, DEFAULT_LIMITS)
    assert scanned(target) == scanned(merged)


# -- differences of scans ------------------------------------------------------------------------


def test_what_changed_comes_with_all_the_directories_above_it() -> None:
    before = Manifest([directory(b"a"), directory(b"a/b"), file(b"a/b/c"), file(b"x")])
    after = Manifest([directory(b"a"), directory(b"a/b"), file(b"a/b/c", "new"), file(b"x")])
    assert difference(before, after) == Manifest([directory(b"a"), directory(b"a/b"), file(b"a/b/c", "new")])


def test_what_went_leaves_one_whiteout_below_directories_that_stayed() -> None:
    before = Manifest([directory(b"a"), directory(b"a/b"), file(b"a/b/c"), file(b"a/d")])
    assert difference(before, Manifest([directory(b"a")])) == Manifest([directory(b"a"), gone(b"a/b"), gone(b"a/d")])
    assert difference(before, Manifest([file(b"a")])) == Manifest([file(b"a")])
    assert difference(before, Manifest()) == Manifest([gone(b"a")])


def test_names_of_one_file_stay_linked_within_the_difference() -> None:
    before = Manifest([file(b"a")])
    after = Manifest([file(b"a"), file(b"b", link=b"a"), file(b"c", link=b"a")])
    assert difference(before, after) == Manifest([file(b"b"), file(b"c", link=b"b")])


def test_no_change_is_no_entry() -> None:
    manifest = Manifest([directory(b"a"), file(b"a/b")])
    assert len(difference(manifest, manifest)) == 0


paths = st.sampled_from([b"a", b"a/a", b"a/b", b"a/a/a", b"b", b"b/a"])


@st.composite
def trees(draw: st.DrawFn) -> Manifest:
    """Plain trees: no whiteouts, every ancestor a directory."""
    entries: dict[bytes, Entry] = {}
    for path in sorted(draw(st.sets(paths))):
        above = path.rpartition(b"/")[0]
        if not above or (above in entries and entries[above].kind is EntryKind.DIRECTORY):
            entries[path] = directory(path) if draw(st.booleans()) else file(path, draw(st.sampled_from("xy")))
    return Manifest(entries.values())


@given(trees(), trees())
def test_a_difference_over_what_was_before_is_what_is_after(before: Manifest, after: Manifest) -> None:
    merged = merge([before, difference(before, after)])
    seen = {entry.path: (entry.kind, entry.digest) for entry in merged if entry.kind is not EntryKind.WHITEOUT}
    assert seen == {entry.path: (entry.kind, entry.digest) for entry in after}


# -- measuring -----------------------------------------------------------------------------------


def test_usage_counts_blocks_and_each_inode_once(source: Path) -> None:
    inodes = {status.st_ino: status for status in map(os.lstat, [source, *source.rglob("*")])}
    blocks = sum(status.st_blocks * 512 for status in inodes.values())
    with opened(source) as fd:
        assert usage_of(fd, DEFAULT_LIMITS) == Usage(blocks, len(inodes))
        some = Manifest([directory(b"d"), file(b"d/file"), file(b"name2"), gone(b"never")])
        assert usage_of_entries(fd, some).inodes == 2


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (TreeLimits(entries=2), "more than 2 entries"),
        (TreeLimits(depth=1), "deeper than 1 levels"),
        (TreeLimits(file_bytes=9), "larger than 9 bytes"),
        (TreeLimits(total_bytes=19), "more than 19 logical bytes"),
    ],
)
def test_a_manifest_has_the_bounds_of_a_scan(limits: TreeLimits, reason: str) -> None:
    ten = [Entry(path, EntryKind.FILE, size=10) for path in (b"d/a", b"d/b")]
    manifest = Manifest([directory(b"d"), *ten])
    check_bounds(manifest, TreeLimits(entries=3, depth=2, file_bytes=10, total_bytes=20))
    with pytest.raises(TreeRefusedError, match=reason):
        check_bounds(manifest, limits)


def test_a_tree_that_is_as_its_manifest_says_has_no_fault(source: Path) -> None:
    os.mknod(source / "gone", stat.S_IFCHR)
    manifest = scanned(source)
    with opened(source) as fd:
        assert first_fault(fd, manifest) == ""
        assert first_fault(fd, manifest, whole_copy=True) == "gone is there again"
        (source / "gone").unlink()
        assert first_fault(fd, manifest) == "gone is missing"
        assert first_fault(fd, manifest, whole_copy=True) == ""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda path: path.write_bytes(b"longer content"), "has another size"),
        (lambda path: path.chmod(0o600), "has another mode"),
        (lambda path: os.utime(path, ns=(0, 5)), "has another mtime_ns"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: (path.unlink(), path.symlink_to("x")), "has another kind"),
    ],
)
def test_each_difference_from_the_manifest_is_told(source: Path, change: object, fault: str) -> None:
    manifest = scanned(source)
    assert callable(change)
    change(source / "d" / "file")
    with opened(source) as fd:
        alone = [replace(entry, link=None) for entry in manifest if entry.path == b"d/file"]
        assert first_fault(fd, Manifest(alone)) == f"d/file {fault}"
