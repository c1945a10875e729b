"""Moving and exchanging names: nothing is ever replaced, also where the kernel does not help."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.checkpoints import names


@pytest.fixture(params=["exchange", "no exchange"])
def directory_fd(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    if request.param == "no exchange":  # flags that no kernel knows: EINVAL, as from such a file system
        monkeypatch.setattr(names, "_NOREPLACE", 1 << 30)
        monkeypatch.setattr(names, "_EXCHANGE", 1 << 30)
    (tmp_path / "one").write_text("1")
    (tmp_path / "other").mkdir()
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_a_move_never_replaces(directory_fd: int, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        names.move(directory_fd, b"one", b"other")
    names.move(directory_fd, b"one", b"new")
    assert sorted(os.listdir(tmp_path)) == ["new", "other"]
    with pytest.raises(FileNotFoundError):
        names.move(directory_fd, b"one", b"x")


def test_an_exchange_swaps_things_of_any_kind(directory_fd: int, tmp_path: Path) -> None:
    names.exchange(directory_fd, b"one", b"other", b"spare")
    assert (tmp_path / "one").is_dir()
    assert (tmp_path / "other").read_text() == "1"
    assert sorted(os.listdir(tmp_path)) == ["one", "other"]


@pytest.mark.parametrize("moves", [0, 1, 2, 3])
def test_an_exchange_cut_short_is_straightened(tmp_path: Path, moves: int) -> None:
    (tmp_path / "one").write_text("new")
    (tmp_path / "other").write_text("old")
    steps = [("other", "spare"), ("one", "other"), ("spare", "one")]
    for source, target in steps[:moves]:
        (tmp_path / source).rename(tmp_path / target)
    fd = os.open(tmp_path, os.O_RDONLY)
    names.straighten(fd, b"one", b"other", b"spare")
    names.straighten(fd, b"one", b"other", b"spare")
    os.close(fd)
    expected = ("new", "old") if moves < 2 else ("old", "new")
    assert ((tmp_path / "one").read_text(), (tmp_path / "other").read_text()) == expected


def test_a_mode_is_not_changed_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("x")
    (tmp_path / "target").chmod(0o600)
    (tmp_path / "link").symlink_to("target")
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OSError, match="symbolic links"):
        names.change_mode(fd, b"link", 0o777)
    os.close(fd)
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o600
