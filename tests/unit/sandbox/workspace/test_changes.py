"""Trees as data, and the difference between two of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from sandbox.errors import PathRefusedError, TreeRefusedError
from sandbox.workspace.changes import BaseTree, Change, ChangeKind, LayeredTree, Tree, changes
from sandbox.workspace.manifest import Entry, EntryKind, Manifest

ADDED, MODIFIED, DELETED = ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.DELETED
TYPE, MODE = ChangeKind.TYPE_CHANGED, ChangeKind.MODE_CHANGED


def file(path: bytes, text: bytes = b"", mode: int = 0o644) -> Entry:
    return Entry(path, EntryKind.FILE, mode, len(text), 1, hashlib.sha256(text).hexdigest())


def directory(path: bytes, opaque: bool = False, mode: int = 0o755) -> Entry:
    return Entry(path, EntryKind.DIRECTORY, mode, opaque=opaque)


def gone(path: bytes) -> Entry:
    return Entry(path, EntryKind.WHITEOUT)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    (project / "d" / "e").mkdir(parents=True)
    (project / "d" / "e" / "deep").write_bytes(b"deep")
    (project / "d" / "one").write_bytes(b"one")
    (project / "top").write_bytes(b"top")
    (project / "link").symlink_to("d")
    for path in (project / "d", project / "d" / "e"):
        path.chmod(0o755)
    for path in (project / "d" / "e" / "deep", project / "d" / "one", project / "top"):
        path.chmod(0o644)
    return project


@pytest.fixture
def base(project: Path) -> Iterator[BaseTree]:
    with BaseTree(project) as tree:
        yield tree


def over(base: Tree, entries: Iterable[Entry]) -> LayeredTree:
    return LayeredTree(Manifest(entries), base, lambda path: os.open("/dev/null", os.O_RDONLY))


def found(old: Tree, new: Tree, *touched: Iterable[Entry]) -> list[tuple[bytes, ChangeKind]]:
    listed = changes(old, new, [Manifest(entries) for entries in touched])
    return [(change.path, change.kind) for change in listed]


class CountingTree:
    """Counts the questions that are put to another tree."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.looked: list[bytes] = []
        self.listed: list[bytes] = []
        self.digested: list[bytes] = []

    def lookup(self, path: bytes) -> Entry | None:
        self.looked.append(path)
        return self.tree.lookup(path)

    def children(self, directory: bytes) -> Iterator[Entry]:
        self.listed.append(directory)
        return self.tree.children(directory)

    def digest(self, path: bytes) -> str:
        self.digested.append(path)
        return self.tree.digest(path)

    def xattrs(self, path: bytes) -> tuple[tuple[bytes, bytes], ...]:
        return self.tree.xattrs(path)

    def open_file(self, path: bytes) -> int:
        return self.tree.open_file(path)


# -- the base ------------------------------------------------------------------------------------


def test_the_base_is_looked_up_without_reading_content(base: BaseTree, project: Path) -> None:
    entry = base.lookup(b"d/one")
    assert entry == Entry(b"d/one", EntryKind.FILE, 0o644, 3, (project / "d" / "one").stat().st_mtime_ns)
    assert base.digest(b"d/one") == hashlib.sha256(b"one").hexdigest()
    link = base.lookup(b"link")
    assert link is not None
    assert link.target == b"d"


@pytest.mark.parametrize("path", [b"never", b"d/never/x", b"top/x", b"link/one", b"x" * 300])
def test_where_nothing_is_or_a_link_leads_there_is_nothing(base: BaseTree, path: bytes) -> None:
    assert base.lookup(path) is None
    assert list(base.children(path)) == []
    with pytest.raises(PathRefusedError):
        base.open_file(path)


@pytest.mark.parametrize("path", [b"../project/top", b"/etc/passwd"])
def test_the_base_ends_at_its_root(base: BaseTree, path: bytes) -> None:
    with pytest.raises(TreeRefusedError):
        base.lookup(path)
    with pytest.raises(PathRefusedError):
        base.open_file(path)


def test_children_are_sorted_and_the_same_as_looked_up(base: BaseTree) -> None:
    listed = list(base.children(b""))
    assert [entry.path for entry in listed] == [b"d", b"link", b"top"]
    assert listed == [base.lookup(entry.path) for entry in listed]


def test_what_the_mask_names_is_not_in_the_base(project: Path) -> None:
    with BaseTree(project, Manifest([gone(b"d/e"), gone(b"top")])) as tree:
        assert tree.lookup(b"top") is None
        assert tree.lookup(b"d/e/deep") is None
        assert [entry.path for entry in tree.children(b"d")] == [b"d/one"]
        assert list(tree.children(b"d/e")) == []
        with pytest.raises(PathRefusedError):
            tree.open_file(b"top")


def test_attributes_of_the_base_are_read_when_asked_for(base: BaseTree, project: Path) -> None:
    os.setxattr(project / "d", "user.x", b"1")
    assert base.xattrs(b"d") == ((b"user.x", b"1"),)
    assert base.xattrs(b"link") == ()
    assert base.xattrs(b"never") == ()


def test_a_device_that_overlayfs_takes_for_a_whiteout_is_not_there(base: BaseTree, project: Path) -> None:
    os.mknod(project / "odd", 0o020000)
    assert base.lookup(b"odd") is None
    assert b"odd" not in [entry.path for entry in base.children(b"")]


def test_a_base_that_is_no_directory_is_refused(project: Path) -> None:
    with pytest.raises(TreeRefusedError):
        BaseTree(project / "top")


# -- layers --------------------------------------------------------------------------------------


def test_a_layer_wins_and_the_rest_shows_through(base: BaseTree) -> None:
    tree = over(base, [gone(b"top"), directory(b"d"), file(b"d/one", b"new"), file(b"d/two", b"2")])
    assert tree.lookup(b"top") is None
    assert tree.lookup(b"d/one") == file(b"d/one", b"new")
    assert tree.lookup(b"d/e/deep") == base.lookup(b"d/e/deep")
    assert [entry.path for entry in tree.children(b"d")] == [b"d/e", b"d/one", b"d/two"]
    assert tree.digest(b"d/one") == hashlib.sha256(b"new").hexdigest()
    assert tree.digest(b"d/e/deep") == hashlib.sha256(b"deep").hexdigest()


@pytest.mark.parametrize("cover", [gone(b"d"), file(b"d"), directory(b"d", opaque=True)])
def test_what_a_layer_hides_is_not_there_in_any_way(base: BaseTree, cover: Entry) -> None:
    tree = over(base, [cover])
    assert tree.lookup(b"d/one") is None
    assert list(tree.children(b"d")) == []
    assert list(tree.children(b"d/e")) == []
    for ask in (tree.open_file, tree.digest):
        with pytest.raises(PathRefusedError):
            ask(b"d/one")


def test_only_files_of_a_layer_are_opened(base: BaseTree) -> None:
    tree = over(base, [directory(b"new"), Entry(b"away", EntryKind.SYMLINK, target=b"top"), file(b"f")])
    for path in (b"new", b"away", b"d"):
        with pytest.raises(PathRefusedError):
            tree.open_file(path)
    os.close(tree.open_file(b"f"))


# -- differences ---------------------------------------------------------------------------------


def test_each_kind_of_change_is_told(base: BaseTree) -> None:
    layer = [
        directory(b"d", mode=0o700),
        file(b"d/new", b"n"),
        file(b"d/one", b"ONE"),
        gone(b"top"),
        file(b"link", b"no link now"),
    ]
    expected = [(b"d", MODE), (b"d/new", ADDED), (b"d/one", MODIFIED), (b"link", TYPE), (b"top", DELETED)]
    assert found(base, over(base, layer), layer) == expected


def test_the_way_back_is_told_the_other_way_round(base: BaseTree) -> None:
    layer = [directory(b"d"), file(b"d/new"), gone(b"top")]
    assert found(over(base, layer), base, layer) == [(b"d/new", DELETED), (b"top", ADDED)]


def test_a_file_that_was_touched_and_not_changed_is_no_change(base: BaseTree) -> None:
    layer = [directory(b"d"), file(b"d/one", b"one"), file(b"top", b"top", mode=0o600)]
    assert found(base, over(base, layer), layer) == [(b"top", MODE)]


def test_the_text_of_a_link_is_its_content(base: BaseTree) -> None:
    same, other = (Entry(b"link", EntryKind.SYMLINK, 0o777, target=target) for target in (b"d", b"e"))
    assert found(base, over(base, [same]), [same]) == []
    assert found(base, over(base, [other]), [other]) == [(b"link", MODIFIED)]


def test_a_deleted_directory_takes_all_that_was_in_it(base: BaseTree) -> None:
    layer = [gone(b"d")]
    expected = [(b"d", DELETED), (b"d/e", DELETED), (b"d/e/deep", DELETED), (b"d/one", DELETED)]
    assert found(base, over(base, layer), layer) == expected


def test_what_came_back_with_a_rollback_was_added(base: BaseTree) -> None:
    layer = [gone(b"d")]
    paths = [path for path, kind in found(over(base, layer), base, layer) if kind is ADDED]
    assert paths == [b"d", b"d/e", b"d/e/deep", b"d/one"]


def test_a_directory_made_anew_is_compared_entry_by_entry(base: BaseTree) -> None:
    layer = [directory(b"d", opaque=True), file(b"d/one", b"one"), file(b"d/two", b"2")]
    expected = [(b"d/e", DELETED), (b"d/e/deep", DELETED), (b"d/two", ADDED)]
    assert found(base, over(base, layer), layer) == expected


def test_a_file_in_the_place_of_a_directory_and_the_reverse(base: BaseTree) -> None:
    layer = [file(b"d", b"file"), directory(b"top"), file(b"top/in", b"in")]
    expected = [
        (b"d", TYPE),
        (b"d/e", DELETED),
        (b"d/e/deep", DELETED),
        (b"d/one", DELETED),
        (b"top", TYPE),
        (b"top/in", ADDED),
    ]
    assert found(base, over(base, layer), layer) == expected


def test_two_sides_that_did_the_same_do_not_differ(base: BaseTree) -> None:
    left = [gone(b"d"), file(b"top", b"same")]
    right = [gone(b"d"), file(b"top", b"same"), file(b"x")]
    assert found(over(base, left), over(base, right), left, right) == [(b"x", ADDED)]


def test_one_side_deleted_what_the_other_changed(base: BaseTree) -> None:
    left = [gone(b"d")]
    right = [directory(b"d"), file(b"d/one", b"ONE")]
    expected = [(b"d", ADDED), (b"d/e", ADDED), (b"d/e/deep", ADDED), (b"d/one", ADDED)]
    assert found(over(base, left), over(base, right), left, right) == expected


def test_changes_carry_both_entries(base: BaseTree) -> None:
    layer = [file(b"top", b"TOP")]
    (change,) = changes(base, over(base, layer), [Manifest(layer)])
    old = base.lookup(b"top")
    assert old is not None
    assert change.new == file(b"top", b"TOP")
    assert change.old is not None
    assert change.old.digest == hashlib.sha256(b"top").hexdigest()
    added = [file(b"x")]
    assert changes(base, over(base, added), [Manifest(added)]) == [Change(b"x", ADDED, None, file(b"x"))]


def test_only_what_layers_touched_is_looked_at(base: BaseTree) -> None:
    counting = CountingTree(base)
    layer = [directory(b"d"), file(b"d/one", b"longer than it was")]
    assert found(counting, over(counting, layer), layer) == [(b"d/one", MODIFIED)]
    assert set(counting.looked) == {b"d", b"d/one"}
    assert counting.listed == []
    assert counting.digested == []  # another size needs no digest


def test_the_same_size_is_settled_by_content(base: BaseTree) -> None:
    counting = CountingTree(base)
    layer = [file(b"top", b"tup")]
    assert found(counting, over(counting, layer), layer) == [(b"top", MODIFIED)]
    assert counting.digested == [b"top"]


def test_files_that_both_sides_have_from_the_base_are_not_read(base: BaseTree) -> None:
    counting = CountingTree(base)
    assert found(over(counting, []), over(counting, []), [gone(b"d"), gone(b"top")]) == []
    assert counting.digested == []


def test_more_changes_than_the_bound_are_refused(base: BaseTree) -> None:
    layer = [gone(b"d")]
    assert len(changes(base, over(base, layer), [Manifest(layer)], limit=4)) == 4
    with pytest.raises(TreeRefusedError, match="more than 3 changes"):
        changes(base, over(base, layer), [Manifest(layer)], limit=3)
