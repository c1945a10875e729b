"""Apply and undo by a user who has no rights but their own, in directories that forbid writing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.checkpoints.recovery import recover
from engine.errors import ApplyConflictError, EnvironmentUnfitError
from tests.unit.engine.checkpoints.project_bench import Bench, facts, times
from tests.unit.sandbox.workspace.ordinary_user import as_ordinary_user

pytestmark = pytest.mark.root


@pytest.fixture
def own() -> Iterator[Path]:
    """A directory that an ordinary user can reach."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def bench_in(directory: Path) -> Bench:
    bench = Bench(directory)
    for name in ("open", "shut", "opened"):
        (bench.project / name).mkdir()
        (bench.project / name / "file").write_text("old")
    for name in ("shut", "opened"):
        (bench.project / name).chmod(0o555)
    return bench


def test_directories_that_become_open_or_shut_are_written_and_undone(own: Path) -> None:
    def work() -> None:
        bench = bench_in(own)
        bench.start()
        (bench.head / "opened").chmod(0o755)
        (bench.head / "opened/file").write_text("new")
        (bench.head / "open/more").write_text("more")
        (bench.head / "open/file").unlink()
        (bench.head / "open").chmod(0o555)
        (bench.head / "shut").chmod(0o755)
        (bench.head / "shut/file").unlink()
        (bench.head / "shut").rmdir()
        (bench.head / "fresh").mkdir()
        (bench.head / "fresh/file").write_text("x")
        (bench.head / "fresh").chmod(0o555)
        bench.seal()
        before, stamps = facts(bench.project), times(bench.project)
        bench.apply()
        assert facts(bench.project) == facts(bench.head)
        bench.undo()
        assert facts(bench.project) == before
        assert times(bench.project) == stamps

    as_ordinary_user(own, work)


def test_a_directory_that_may_not_be_written_stops_everything(own: Path) -> None:
    def work() -> None:
        bench = bench_in(own)
        bench.start()
        (bench.head / "shut").chmod(0o755)
        (bench.head / "shut/file").unlink()
        (bench.head / "shut").chmod(0o555)
        (bench.head / "open/file").write_text("new")
        bench.seal()
        before, stamps = facts(bench.project), times(bench.project)
        with pytest.raises(EnvironmentUnfitError, match=r"shut/file cannot be written: Permission denied"):
            bench.apply()
        assert facts(bench.project) == before
        assert times(bench.project) == stamps
        assert recover(bench.home) == []

    as_ordinary_user(own, work)


def test_a_file_that_cannot_be_read_is_not_deleted(own: Path) -> None:
    def work() -> None:
        bench = bench_in(own)
        bench.start()
        (bench.project / "open/file").chmod(0)
        (bench.head / "open/file").unlink()
        bench.seal()
        with pytest.raises(ApplyConflictError, match="cannot be read"):
            bench.apply(force=True)

    as_ordinary_user(own, work)
