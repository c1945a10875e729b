"""A system call that fails anywhere in an apply: a typed error, and all or nothing.

Every call through which an apply changes the disk is made to fail at its n-th use, for every n until the
apply gets through; and a file system is really full, and really read-only.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.checkpoints import names
from engine.checkpoints.recovery import Outcome, recover
from engine.errors import ApplyInterruptedError, EngineError, EnvironmentUnfitError
from sandbox.errors import HostDiskFullError, SandboxError
from tests.unit.engine.checkpoints.project_bench import Bench, facts, times

CALLS = ["write", "fsync", "mkdir", "symlink", "fchmod", "chmod", "unlink", "rmdir", "rename", "replace"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return prepared(tmp_path)


def prepared(directory: Path) -> Bench:
    """A project and an execution with each kind of change once."""
    bench = Bench(directory)
    (bench.project / "keep").mkdir()
    for name in ("keep/a", "keep/b", "mode", "todir"):
        (bench.project / name).write_text(f"old {name}")
    (bench.project / "gone").mkdir()
    (bench.project / "gone/x").write_text("x")
    bench.start()
    (bench.head / "keep/a").write_text("new a")
    (bench.head / "keep/b").unlink()
    (bench.head / "mode").chmod(0o755)
    (bench.head / "todir").unlink()
    (bench.head / "todir").mkdir()
    (bench.head / "todir/inside").write_text("inside")
    (bench.head / "link").symlink_to("keep/a")
    shutil.rmtree(bench.head / "gone")
    bench.seal()
    return bench


class FailAt:
    """Makes the n-th of the watched calls fail, once or from then on."""

    def __init__(self, code: int, nth: int, *, for_good: bool) -> None:
        self.code, self.nth, self.for_good = code, nth, for_good
        self.calls = 0
        self.active = True

    def wrap(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.active:
                self.calls += 1
                if self.calls == self.nth or (self.for_good and self.calls > self.nth):
                    raise OSError(self.code, os.strerror(self.code))
            return real(*arguments, **options)

        return call


def install(fail: FailAt, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CALLS:
        monkeypatch.setattr(os, name, fail.wrap(getattr(os, name)))
    monkeypatch.setattr(names, "_rename", fail.wrap(names._rename))


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_failing_call_anywhere_leaves_all_or_nothing(tmp_path: Path, code: int, for_good: bool) -> None:
    outcomes = []
    for nth in range(1, 500):
        bench = prepared_at(tmp_path / str(nth))
        before, after = facts(bench.project), facts(bench.head)
        stamps = times(bench.project)
        fail = FailAt(code, nth, for_good=for_good)
        error = None
        with pytest.MonkeyPatch.context() as monkeypatch:
            apply = bench.applying()
            install(fail, monkeypatch)
            try:
                apply()
            except (EngineError, SandboxError) as raised:
                error = raised
        now = facts(bench.project)
        if error is None:
            assert now == after
        elif not isinstance(error, ApplyInterruptedError):
            assert now == before, f"call {nth}: {error}"
            assert times(bench.project) == stamps
        recover(bench.home)
        assert facts(bench.project) in (before, after), f"call {nth}: {error}"
        assert bench.temporary_names() == [], f"call {nth}: {error}"
        assert recover(bench.home) == []
        shutil.rmtree(bench.directory)
        outcomes.append(error)
        if fail.calls < nth:
            break
    assert outcomes[-1] is None
    assert len(outcomes) > 40


def prepared_at(directory: Path) -> Bench:
    directory.mkdir()
    return prepared(directory)


def test_an_apply_that_cannot_be_taken_back_yet_blocks_the_next_and_is_put_right_later(bench: Bench) -> None:
    before = facts(bench.project)
    fail = FailAt(errno.EIO, 1, for_good=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(names, "_rename", after_the_third(names._rename, fail))
        with pytest.raises(ApplyInterruptedError):
            bench.apply()
        assert [found.outcome for found in recover(bench.home)] == [Outcome.STUCK]
        with pytest.raises(ApplyInterruptedError):
            bench.apply()
    assert [found.outcome for found in recover(bench.home)] == [Outcome.UNDONE]
    assert facts(bench.project) == before
    assert bench.temporary_names() == []


def after_the_third(real: Callable[..., Any], fail: FailAt) -> Callable[..., Any]:
    failing = fail.wrap(real)
    calls = 0

    def call(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return real(*arguments) if calls <= 3 else failing(*arguments)

    return call


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 16 MiB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(directory)], check=True)
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


@pytest.mark.root
def test_a_full_disk_is_told_before_anything_is_written(small_disk: Path, tmp_path: Path) -> None:
    bench = on_disk(small_disk, tmp_path)
    (small_disk / "filler").write_bytes(bytes(11 << 20))
    before = facts(bench.project)
    with pytest.raises(HostDiskFullError) as caught:
        bench.apply()
    assert caught.value.free_bytes < caught.value.needed_bytes
    assert facts(bench.project) == before


@pytest.mark.root
def test_a_disk_that_fills_up_meanwhile_leaves_nothing_behind(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.checkpoints.backing.RESERVE_BYTES", -(1 << 40))
    bench = on_disk(small_disk, tmp_path)
    (small_disk / "filler").write_bytes(bytes(14 << 20))
    before = facts(bench.project)
    with pytest.raises(HostDiskFullError, match="large"):
        bench.apply()
    assert facts(bench.project) == before
    assert bench.temporary_names() == []


@pytest.mark.root
def test_a_read_only_project_is_told_and_left_alone(small_disk: Path, tmp_path: Path) -> None:
    bench = on_disk(small_disk, tmp_path)
    before = facts(bench.project)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(EnvironmentUnfitError, match="Read-only"):
        bench.apply()
    assert facts(bench.project) == before
    assert recover(bench.home) == []


def on_disk(disk: Path, tmp_path: Path) -> Bench:
    """The project on the small disk, the head and the home elsewhere."""
    bench = Bench(tmp_path)
    bench.project.rmdir()
    bench.project = disk / "project"
    bench.project.mkdir()
    (bench.project / "large").write_bytes(b"x")
    bench.start()
    (bench.head / "first").write_text("first")
    (bench.head / "large").write_bytes(os.urandom(4 << 20))
    bench.seal()
    return bench


@pytest.mark.root
def test_something_mounted_in_the_project_is_not_entered(small_disk: Path, tmp_path: Path) -> None:
    bench = prepared_at(tmp_path / "bench")
    subprocess.run(["mount", "--bind", str(small_disk), str(bench.project / "keep")], check=True)
    try:
        with pytest.raises((EngineError, SandboxError), match="mounted"):
            bench.apply(force=True)
        assert os.listdir(small_disk) == []
    finally:
        subprocess.run(["umount", str(bench.project / "keep")], check=True)
