"""What is recorded of the user's files, and when they count as changed."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from engine.checkpoints.baseline import Baseline, Seen, begin, compare, observe, record
from sandbox.errors import PathRefusedError, TreeRefusedError
from sandbox.workspace.beneath import opened
from sandbox.workspace.manifest import Entry, EntryKind, Manifest

FAR = 1 << 62


def seen(directory: Path, path: bytes) -> Seen | None:
    with opened(directory) as fd:
        return observe(fd, path)


def test_records_survive_json(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / os.fsdecode(b"l\xff")).symlink_to(os.fsdecode(b"t\xff"))
    layer = Manifest([Entry(b"f", EntryKind.FILE), Entry(b"l\xff", EntryKind.SYMLINK), Entry(b"no", EntryKind.FILE)])
    found = begin(tmp_path) | record(tmp_path, layer, {})
    stored = {path: json.dumps(entry) for path, entry in found.items()}
    again = Baseline.from_records({path: json.loads(text) for path, text in stored.items()})
    assert again == Baseline.from_records(found)
    assert again.entries[b"no"] is None
    link = again.entries[b"l\xff"]
    assert link is not None
    assert link.target == b"t\xff"


def test_a_path_is_recorded_once(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    layer = Manifest([Entry(b"f", EntryKind.FILE)])
    assert record(tmp_path, layer, {b"f": None}) == {}


def test_everything_in_a_directory_that_goes_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "d/e/f").write_text("x")
    for entry in (Entry(b"d", EntryKind.WHITEOUT), Entry(b"d", EntryKind.DIRECTORY, opaque=True)):
        assert set(record(tmp_path, Manifest([entry]), {})) == {b"d", b"d/e", b"d/e/f"}
    assert set(record(tmp_path, Manifest([Entry(b"d", EntryKind.DIRECTORY)]), {})) == {b"d"}


def test_hidden_paths_count_as_absent(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/secret").write_text("x")
    hide = Manifest([Entry(b"d/secret", EntryKind.WHITEOUT)])
    found = record(tmp_path, Manifest([Entry(b"d", EntryKind.WHITEOUT)]), {}, hide)
    assert found[b"d/secret"] is None


def test_a_large_file_is_recorded_without_reading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.checkpoints.baseline.DIGEST_BUDGET_BYTES", 10)
    (tmp_path / "a").write_bytes(b"x" * 8)
    (tmp_path / "b").write_bytes(b"x" * 8)
    layer = Manifest([Entry(b"a", EntryKind.FILE), Entry(b"b", EntryKind.FILE)])
    baseline = Baseline.from_records(begin(tmp_path) | record(tmp_path, layer, {}))
    a, b = baseline.entries[b"a"], baseline.entries[b"b"]
    assert a is not None
    assert b is not None
    assert (bool(a.digest), b.digest) == (True, "")
    assert compare(b, seen(tmp_path, b"b"), FAR) is None
    os.utime(tmp_path / "b")
    assert compare(b, seen(tmp_path, b"b"), FAR) == "was written meanwhile"


def test_special_files_are_seen_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = seen(tmp_path, b"pipe")
    assert found is not None
    assert found.kind is EntryKind.FIFO


def test_the_way_never_leads_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("x")
    (tmp_path / "l").symlink_to("d")
    with pytest.raises(PathRefusedError, match="symbolic link"):
        seen(tmp_path, b"l/f")
    assert seen(tmp_path, b"d/f/x") is None
    assert seen(tmp_path, b"no/f") is None


def test_another_directory_is_not_the_same_and_devices_count_until_the_next_boot(tmp_path: Path) -> None:
    root = Baseline.from_records(begin(tmp_path)).root
    status = tmp_path.stat()
    assert root.is_same(status, root.boot_id)
    assert not replace(root, inode=1).is_same(status, root.boot_id)
    assert not replace(root, device=1).is_same(status, root.boot_id)
    assert replace(root, device=1).is_same(status, "another boot")
    with pytest.raises(TreeRefusedError):
        begin(tmp_path / "no")


def test_each_way_of_changing_is_told(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("one")
    then = seen(tmp_path, b"f")
    assert then is not None
    assert compare(then, then, FAR) is None
    assert compare(None, None, FAR) is None
    assert compare(None, then, FAR) == "was created meanwhile"
    assert compare(then, None, FAR) == "was deleted meanwhile"
    assert compare(then, replace(then, kind=EntryKind.DIRECTORY), FAR) == "was a file, is a directory now"
    assert compare(then, replace(then, mode=0o600), FAR) == "its mode was changed from 0644 to 0600"
    assert compare(then, replace(then, size=9), FAR) == "has 9 bytes now, had 3"
    assert "content was changed" in str(compare(then, replace(then, digest="f" * 64), FAR))
    assert compare(then, replace(then, inode=1, mtime_ns=1, ctime_ns=1), FAR) is None
    assert compare(then, then, then.ctime_ns - 1) == "was changed while the execution ran"
