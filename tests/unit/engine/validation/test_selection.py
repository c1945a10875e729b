"""Selections: what was named, told apart from what is everything."""

from __future__ import annotations

import pytest

from engine.validation.selection import Selection, select
from sandbox.errors import PathRefusedError


def test_nothing_named_is_the_whole_workspace() -> None:
    assert select(None, None) == Selection()
    assert select(None, None).whole


def test_the_top_of_the_workspace_is_the_whole_workspace() -> None:
    assert select(None, ["src", "."]).whole


def test_paths_go_before_changes_and_must_exist() -> None:
    assert select([b"a.py"], ["src/", "b.py", "src"]) == Selection((b"b.py", b"src"), must_exist=True)


def test_changes_need_not_exist_and_none_is_not_everything() -> None:
    assert select([b"b.py", b"a.py", b"b.py"], None) == Selection((b"a.py", b"b.py"))
    assert not select([], None).whole


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x.py", "a/../../x.py", "a\nb.py", "a\x1b[2J.py", "a\udcff.py"])
def test_a_path_that_leaves_the_workspace_or_cannot_be_handed_over_is_refused(path: str) -> None:
    with pytest.raises(PathRefusedError):
        select(None, [path])


@pytest.mark.parametrize("name", [b"../x.py", b"/x.py", b"a/../../x.py"])
def test_a_change_outside_the_workspace_is_refused(name: bytes) -> None:
    with pytest.raises(PathRefusedError):
        select([name], None)


@pytest.mark.parametrize(
    "name",
    [
        b"a\n--config-file=b.py",
        b"a\x0bb.py",
        b"a\x1eb.py",
        "a\x85b.py".encode(),
        "a\u2028b.py".encode(),
        b"a\x7f.py",
        b"a\xff.py",
    ],
)
def test_a_changed_name_that_would_be_split_is_never_handed_over(name: bytes) -> None:
    selection = select([name, b"fine.py"], None)
    assert selection.names == (b"fine.py",)
    assert selection.unspeakable == (name,)


def test_names_that_look_like_options_or_argument_files_are_handed_over_as_paths() -> None:
    listing = select([b"-x.py", b"@evil.py", "a\u00e9 b.py".encode()], None).listing()
    assert listing == "./-x.py\n./@evil.py\n./a\u00e9 b.py\n"


def test_changed_files_that_concern_no_check_are_not_handed_over() -> None:
    changed = [b"Icon\r", b"a\xff.bin", b"src", b"data.bin", b"node_modules/a/package.json", b".venv/x.py"]
    assert select(changed, None) == Selection(())
