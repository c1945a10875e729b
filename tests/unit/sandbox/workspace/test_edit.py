"""Edits of an upper directory give what overlayfs would have written, and go nowhere else."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox.errors import PathRefusedError, TreeRefusedError
from sandbox.workspace.changes import BaseTree, LayeredTree
from sandbox.workspace.edit import Edit, check_path, editing
from sandbox.workspace.manifest import EntryKind, Manifest, parent
from sandbox.workspace.tree import opened, scan
from tests.unit.sandbox.workspace.ordinary_user import as_ordinary_user


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    (project / "src" / "deep").mkdir(parents=True)
    (project / "src" / "main.py").write_bytes(b"print(1)\n")
    (project / "src" / "deep" / "data").write_bytes(b"data")
    (project / "top").write_bytes(b"top")
    (project / "link").symlink_to("src")
    (project / "away").symlink_to("/etc")
    os.mkfifo(project / "fifo")
    (project / "src").chmod(0o2751)
    os.setxattr(project / "src", "user.kept", b"1")
    os.utime(project / "src" / "deep", ns=(5, 1_000_000_005))
    os.utime(project / "src", ns=(5, 1_000_000_007))
    return project


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    upper = tmp_path / "upper"
    upper.mkdir()
    return upper


@pytest.fixture
def base(project: Path) -> Iterator[BaseTree]:
    with BaseTree(project) as tree:
        yield tree


@pytest.fixture
def edit(upper: Path, base: BaseTree) -> Iterator[Edit]:
    with editing(upper, base) as edit:
        yield edit


@contextmanager
def overlay(upper: Path, project: Path) -> Iterator[Path]:
    """What the kernel makes of the upper directory."""
    work, merged = upper.parent / "work", upper.parent / "merged"
    work.mkdir(exist_ok=True)
    merged.mkdir(exist_ok=True)
    options = f"lowerdir={project},upperdir={upper},workdir={work},redirect_dir=off,metacopy=off"
    subprocess.run(["mount", "-t", "overlay", "none", "-o", options, merged], check=True)
    try:
        yield merged
    finally:
        subprocess.run(["umount", merged], check=True)


def merged_tree(upper: Path, base: BaseTree) -> LayeredTree:
    with opened(upper) as fd:
        manifest = scan(fd)

    def open_file(path: bytes) -> int:
        return os.open(os.path.join(os.fsencode(upper), path), os.O_RDONLY)

    return LayeredTree(manifest, base, open_file)


def everything(tree: LayeredTree) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    waiting = [b""]
    while waiting:
        for entry in tree.children(waiting.pop()):
            waiting += [entry.path] if entry.kind is EntryKind.DIRECTORY else []
            found[entry.path] = tree.digest(entry.path) if entry.kind is EntryKind.FILE else entry.kind
    return found


# -- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/x", "..", "../x", "a/../x", "a/..", ".", "./a", "a/.", "a//b", "a/", "~", "~/x", "~root/x"),
        *("a\0b", "C:\\x", "c:/x", "\\\\server\\x", "x" * 256, "a/" + "x" * 256, "\ud800", "\udcff"),
        *("a/" * 128 + "b", "/".join(["x" * 200] * 21)),
    ],
)
def test_paths_that_do_not_stay_inside_are_refused(path: str) -> None:
    with pytest.raises(PathRefusedError) as caught:
        check_path(path)
    assert caught.value.path.isprintable()


@pytest.mark.parametrize(
    "path", ["a", "a/b", "...", "..a", "a..", ".hidden", "a~", "C:", "a:b", "é", "a\nb", "x" * 255]
)
def test_paths_that_stay_inside_are_their_bytes(path: str) -> None:
    assert check_path(path) == path.encode()


def test_every_edit_checks_its_path(edit: Edit) -> None:
    for path in ("../x", "/x", "a//b"):
        asked = (lambda p: edit.write_file(p, b""), edit.delete, edit.lookup, lambda p: edit.read_file(p, 10))
        for refused in asked:
            with pytest.raises(PathRefusedError):
                refused(path)


# -- writing -------------------------------------------------------------------------------------


def test_a_new_file_is_written_with_its_directories(edit: Edit, upper: Path) -> None:
    edit.write_file("new/er/file", b"content")
    assert (upper / "new" / "er" / "file").read_bytes() == b"content"
    assert stat.S_IMODE((upper / "new" / "er" / "file").stat().st_mode) == 0o644
    assert stat.S_IMODE((upper / "new" / "er").stat().st_mode) == 0o755


def test_directories_on_the_way_are_copied_up_with_their_attributes(edit: Edit, upper: Path) -> None:
    edit.write_file("src/deep/new", b"x")
    assert stat.S_IMODE((upper / "src").stat().st_mode) == 0o2751
    assert (upper / "src").stat().st_mtime_ns == 1_000_000_007
    assert os.getxattr(upper / "src", "user.kept") == b"1"
    assert (upper / "src" / "deep").stat().st_mtime_ns > 1_000_000_005  # a name appeared in it
    assert [path.name for path in (upper / "src").iterdir()] == ["deep"]


def test_new_content_leaves_the_time_of_the_directory_alone(edit: Edit, upper: Path) -> None:
    edit.write_file("src/deep/data", b"changed")
    assert (upper / "src" / "deep").stat().st_mtime_ns == 1_000_000_005


def test_new_content_keeps_mode_and_attributes_less_setuid(edit: Edit, upper: Path, project: Path) -> None:
    (project / "top").chmod(0o6751)
    os.setxattr(project / "top", "user.x", b"1")
    edit.write_file("top", b"changed")
    assert (upper / "top").read_bytes() == b"changed"
    assert stat.S_IMODE((upper / "top").stat().st_mode) == 0o751
    assert os.getxattr(upper / "top", "user.x") == b"1"


def test_a_mode_that_is_given_is_set(edit: Edit, upper: Path) -> None:
    edit.write_file("run.sh", b"", mode=0o755)
    edit.write_file("top", b"", mode=0o600)
    assert stat.S_IMODE((upper / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((upper / "top").stat().st_mode) == 0o600


def test_a_second_edit_sees_the_first(edit: Edit, upper: Path) -> None:
    edit.write_file("top", b"1")
    edit.write_file("src/new", b"2")
    assert edit.read_file("top", 10) == b"1"
    edit.write_file("top", b"22")
    edit.write_file("src/new", b"3", mode=0o600)
    edit.write_file("src/new", b"4")
    assert edit.read_file("top", 10) == b"22"
    assert stat.S_IMODE((upper / "src" / "new").stat().st_mode) == 0o600
    assert (upper / "src").stat().st_mtime_ns > 1_000_000_007


def test_the_project_is_never_written(edit: Edit, project: Path) -> None:
    before = {path: path.lstat().st_ctime_ns for path in project.rglob("*")}
    edit.write_file("top", b"changed")
    edit.write_file("src/deep/new", b"")
    edit.delete("src/main.py")
    edit.delete("src", recursive=True)
    assert {path: path.lstat().st_ctime_ns for path in project.rglob("*")} == before


@pytest.mark.parametrize("path", ["link/new", "away/passwd", "link/deep/data", "top/new", "fifo/x"])
def test_no_edit_goes_through_a_link_or_a_file(edit: Edit, upper: Path, path: str) -> None:
    with pytest.raises(PathRefusedError):
        edit.write_file(path, b"x")
    with pytest.raises(PathRefusedError):
        edit.delete(path)
    with pytest.raises(PathRefusedError):
        edit.read_file(path, 10)
    assert list(upper.iterdir()) == []


def test_no_edit_goes_through_a_link_that_a_layer_has(edit: Edit, upper: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (upper / "trap").symlink_to(tmp_path / "outside")
    with pytest.raises(PathRefusedError):
        edit.write_file("trap/x", b"x")
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize(
    ("path", "reason"), [("src", "directory"), ("link", "symbolic link"), ("fifo", "special file")]
)
def test_only_regular_files_are_replaced_or_deleted(edit: Edit, path: str, reason: str) -> None:
    for refused in (lambda: edit.write_file(path, b""), lambda: edit.delete(path), lambda: edit.read_file(path, 9)):
        with pytest.raises(PathRefusedError, match=reason):
            refused()


def test_reading_stops_at_the_cap(edit: Edit) -> None:
    assert edit.read_file("top", 3) == b"top"
    with pytest.raises(TreeRefusedError):
        edit.read_file("top", 2)


@pytest.mark.root
def test_what_root_writes_belongs_to_the_owner(upper: Path, base: BaseTree) -> None:
    with editing(upper, base, owner=(1234, 1235)) as edit:
        edit.write_file("src/new/file", b"", mode=0o4755)
    for path in ("src", "src/new", "src/new/file"):
        status = (upper / path).stat()
        assert (status.st_uid, status.st_gid) == (1234, 1235)
    assert stat.S_IMODE((upper / "src/new/file").stat().st_mode) == 0o4755


# -- deleting ------------------------------------------------------------------------------------


def is_whiteout(path: Path) -> bool:
    return stat.S_ISCHR(path.lstat().st_mode) and path.lstat().st_rdev == 0


def test_a_deleted_file_leaves_a_whiteout(edit: Edit, upper: Path) -> None:
    edit.delete("src/main.py")
    assert is_whiteout(upper / "src" / "main.py")
    with pytest.raises(PathRefusedError, match="does not exist"):
        edit.delete("src/main.py")


def test_what_only_the_layer_had_leaves_nothing(edit: Edit, upper: Path) -> None:
    edit.write_file("new/file", b"")
    edit.delete("new/file")
    edit.delete("new", recursive=True)
    assert list(upper.iterdir()) == []


def test_a_directory_is_deleted_only_when_asked(edit: Edit, upper: Path) -> None:
    edit.write_file("src/new", b"")
    with pytest.raises(PathRefusedError, match="is a directory"):
        edit.delete("src")
    edit.delete("src", recursive=True)
    assert is_whiteout(upper / "src")


def test_a_file_that_was_deleted_can_be_written_again(edit: Edit, upper: Path) -> None:
    edit.delete("top")
    edit.write_file("top", b"again")
    assert (upper / "top").read_bytes() == b"again"
    edit.delete("src", recursive=True)
    edit.write_file("src", b"a file now")
    assert edit.read_file("src", 100) == b"a file now"


def test_nothing_of_a_deleted_directory_comes_back_with_a_new_one(edit: Edit, upper: Path, base: BaseTree) -> None:
    edit.delete("src", recursive=True)
    edit.write_file("src/deep/new", b"new")
    seen = everything(merged_tree(upper, base))
    assert [path for path in seen if path.startswith(b"src/")] == [b"src/deep", b"src/deep/new"]
    assert edit.lookup(b"src/main.py") is None
    with pytest.raises(PathRefusedError):
        edit.delete("src/deep/data")


@pytest.mark.parametrize("path", ["top", "src", "link", "fifo", "src/deep/data", "~odd"])
def test_anything_that_is_there_can_be_hidden(edit: Edit, upper: Path, project: Path, path: str) -> None:
    (project / "~odd").write_bytes(b"")
    edit.hide(path.encode())
    edit.hide(b"never")
    assert is_whiteout(upper / path)
    assert not (upper / "never").exists()


def test_hiding_leaves_the_times_of_directories_alone(edit: Edit, upper: Path) -> None:
    edit.write_file("src/deep/data", b"changed")
    edit.hide(b"src/deep/data")
    assert is_whiteout(upper / "src" / "deep" / "data")
    assert (upper / "src" / "deep").stat().st_mtime_ns == 1_000_000_005


def test_a_whole_copy_is_edited_in_place(tmp_path: Path, project: Path, base: BaseTree) -> None:
    """A store that keeps copies calls them `tree`: nothing shines through, nothing is whited out."""
    project.rename(tmp_path / "tree")
    with editing(tmp_path / "tree", base) as edit:
        edit.delete("top")
        edit.delete("src/deep", recursive=True)
        edit.write_file("src/main.py", b"2")
    assert not (tmp_path / "tree" / "top").exists()
    assert {path.name for path in (tmp_path / "tree" / "src").iterdir()} == {"main.py"}


def test_an_ordinary_user_edits_and_leaves_whiteouts(tmp_path: Path, project: Path, upper: Path) -> None:
    (project / "src" / "deep").chmod(0o500)

    def work() -> None:
        with BaseTree(Path("project")) as base, editing(Path("upper"), base, owner=(0, 0)) as edit:
            edit.write_file("src/deep/new", b"new")
            edit.write_file("src/deep/newer", b"newer")
            edit.delete("top")
        assert is_whiteout(Path("upper/top"))
        assert stat.S_IMODE(os.stat("upper/src/deep").st_mode) == 0o500

    as_ordinary_user(tmp_path, work)


# -- against the kernel --------------------------------------------------------------------------


def _many_edits(edit: Edit) -> None:
    edit.write_file("top", b"changed")
    edit.write_file("a/b/c", b"new")
    edit.delete("src/deep", recursive=True)
    edit.write_file("src/deep/only", b"only")
    edit.delete("src/main.py")
    edit.write_file("src/main.py/now/a/directory", b"yes")
    edit.delete("a/b/c")


@pytest.mark.root
def test_the_kernel_sees_what_the_edit_sees(edit: Edit, upper: Path, project: Path, base: BaseTree) -> None:
    _many_edits(edit)
    expected = everything(merged_tree(upper, base))
    with overlay(upper, project) as merged:
        with BaseTree(merged) as mounted:
            found = everything(LayeredTree(Manifest(), mounted, lambda path: -1))
        assert (merged / "src" / "main.py" / "now" / "a" / "directory").read_bytes() == b"yes"
        assert [path.name for path in (merged / "src" / "deep").iterdir()] == ["only"]
    assert found == expected


@pytest.mark.root
def test_a_directory_that_the_kernel_made_opaque_stays_so(
    edit: Edit, upper: Path, project: Path, base: BaseTree
) -> None:
    with overlay(upper, project) as merged:
        subprocess.run(["rm", "-r", merged / "src"], check=True)
        (merged / "src").mkdir()
    assert edit.lookup(b"src/main.py") is None
    edit.write_file("src/new", b"new")
    edit.delete("src/new")
    edit.write_file("src/main.py", b"2")
    with overlay(upper, project) as merged:
        assert [path.name for path in (merged / "src").iterdir()] == ["main.py"]


def test_edits_leave_every_ancestor_in_the_layer(edit: Edit, upper: Path) -> None:
    _many_edits(edit)
    with opened(upper) as fd:
        manifest = scan(fd)
    assert [entry.path for entry in manifest if parent(entry.path) and not manifest.get(parent(entry.path))] == []
