"""Exported tars: the same bytes for the same changes, and what was changed in them."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from engine.checkpoints.export import write_tar, written
from sandbox.errors import LayerCorruptError
from tests.unit.engine.checkpoints.project_bench import Bench


def tar_of(bench: Bench) -> tuple[bytes, set[bytes]]:
    out = io.BytesIO()
    with bench.compared() as (found, _, new):
        left_out = write_tar(found, new, out)
    return out.getvalue(), {item.path for item in left_out}


def test_the_tar_has_what_is_new_and_the_names_of_what_is_gone(changed: Bench) -> None:
    data, left_out = tar_of(changed)
    assert left_out == set()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {member.name: member for member in tar.getmembers()}
        deleted = tar.extractfile("deleted")
        main = tar.extractfile("files/src/main.py")
        assert deleted is not None
        assert main is not None
        assert set(deleted.read().split(b"\0")) == {b"", b"gone", b"gone/a", b"gone/b", b"src/old.py"}
        assert main.read() == b"print('two')\n"
    assert members["files/link"].linkname == "src/new.py"
    assert members["files/deep/void"].isdir()
    assert members["files/run.sh"].mode == 0o700
    assert {(m.uid, m.gid, m.mtime, m.uname) for m in members.values()} == {(0, 0, 0, "")}


def test_the_same_changes_give_the_same_bytes_whenever_they_were_made(changed: Bench) -> None:
    first, _ = tar_of(changed)
    for path in changed.head.rglob("*"):
        os.utime(path, ns=(1, 1), follow_symlinks=False)
    assert tar_of(changed)[0] == first


def test_long_and_undecodable_names_come_back_as_they_are(bench: Bench) -> None:
    bench.start()
    names = ["x" * 250, os.fsdecode(b"\xff\n")]
    for name in names:
        (bench.head / name).write_text(name[:3], errors="surrogateescape")
    bench.seal()
    with tarfile.open(fileobj=io.BytesIO(tar_of(bench)[0]), errors="surrogateescape") as tar:
        assert {f"files/{name}" for name in names} < set(tar.getnames())


def test_special_files_and_bits_are_not_in_a_tar(bench: Bench) -> None:
    bench.start()
    os.mkfifo(bench.head / "pipe")
    (bench.head / "suid").write_text("x")
    (bench.head / "suid").chmod(0o4777)
    bench.seal()
    data, left_out = tar_of(bench)
    assert left_out == {b"pipe"}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getmember("files/suid").mode == 0o755


def test_content_that_is_not_what_was_recorded_is_not_exported(changed: Bench) -> None:
    (changed.head / "data.bin").write_bytes(bytes(2304))
    with pytest.raises(LayerCorruptError):
        tar_of(changed)


def test_a_file_that_could_not_be_written_whole_does_not_appear(tmp_path: Path) -> None:
    target = tmp_path / "out.patch"
    target.write_text("before")

    def cut_short() -> None:
        with written(target) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        cut_short()
    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["out.patch"]
    with written(target) as file:
        file.write(b"whole")
    assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(b"whole").digest()
    assert os.listdir(tmp_path) == ["out.patch"]


def test_where_a_file_cannot_be_written_the_error_names_the_file_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "missing" / "it.tar"
    with pytest.raises(FileNotFoundError) as error, written(target):
        pass
    assert error.value.filename == os.fspath(target)
