"""A kill at any point of an apply, of an undo or of their recovery leaves all or nothing.

A child process is killed with SIGKILL at the n-th point it reaches, for every n until it gets through. Then
`recover` runs, itself killed at its first, second, ... point, until it gets through; then the project
is compared byte for byte with what it was before and with what it should be after.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.checkpoints.planning import ApplyOptions
from engine.checkpoints.recovery import Outcome, recover
from engine.checkpoints.staging import At, Point
from engine.errors import ApplyInterruptedError
from tests.unit.engine.checkpoints.project_bench import Bench, Facts, facts, times

MANY = 1000


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """An execution with every kind of change: new, changed and deleted files, links and directories, changed
    modes, and directories that take the place of files and the other way round."""
    bench = Bench(tmp_path_factory.mktemp("kill"))
    project = bench.project
    for directory in ("keep", "gone/inner", "tofile/inner"):
        (project / directory).mkdir(parents=True)
    for name in ("keep/a", "keep/b", "gone/x", "gone/inner/y", "tofile/z", "tofile/inner/w", "todir", "mode"):
        (project / name).write_text(f"old {name}")
    (project / "link").symlink_to("keep/a")
    (project / "gone/inner").chmod(0o555)
    bench.start()
    head = bench.head
    (head / "keep/a").write_text("new a")
    (head / "keep/b").unlink()
    (head / "keep/c").write_text("new c")
    shutil.rmtree(head / "gone")
    shutil.rmtree(head / "tofile")
    (head / "tofile").write_text("a file now")
    (head / "todir").unlink()
    (head / "todir").mkdir()
    (head / "todir/inside").write_text("inside")
    (head / "fresh/sub").mkdir(parents=True)
    (head / "fresh/sub/leaf").write_text("leaf")
    (head / "mode").chmod(0o755)
    (head / "keep").chmod(0o700)
    (head / "link").unlink()
    (head / "link").symlink_to("keep/c")
    bench.seal()
    return bench


def in_child(work: Callable[[At], object], die_at: int) -> bool:
    """Run `work` in a child that kills itself at the `die_at`-th point (from 1); whether it got through."""
    pid = os.fork()
    if pid == 0:
        reached = 0

        def at(_: Point) -> None:
            nonlocal reached
            reached += 1
            if reached == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            work(at)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "the child failed by itself"
    return os.WIFEXITED(status)


def recovered_through_kills(home: Path) -> None:
    """Recover, killed at every point of it in turn."""
    for die_at in range(1, MANY):
        if in_child(lambda at: recover(home, at), die_at):
            break
    assert recover(home) == []


def assert_clean(bench: Bench) -> None:
    assert bench.temporary_names() == []
    assert [path.name for path in bench.home.rglob("*.unfinished")] == []


def copy_of(prepared: Bench, directory: Path) -> Bench:
    """The same state in other directories; the project keeps its inodes' times but is another directory."""
    bench = Bench.__new__(Bench)
    bench.__dict__.update(prepared.__dict__)
    bench.directory = directory
    bench.project, bench.home = directory / "project", directory / "home"
    shutil.copytree(prepared.project, bench.project, symlinks=True)
    bench.home.mkdir(mode=0o700)
    bench.seal_again()
    return bench


@pytest.mark.slow
def test_a_kill_at_any_point_of_an_apply_leaves_all_or_nothing(prepared: Bench, tmp_path: Path) -> None:
    after = facts(prepared.head)
    outcomes = []
    for die_at in range(1, MANY):
        bench = copy_of(prepared, tmp_path / str(die_at))
        before, stamps = facts(bench.project), times(bench.project)
        through = in_child(lambda at, bench=bench: bench.apply(at=at), die_at)
        recovered_through_kills(bench.home)
        now = facts(bench.project)
        assert now in (before, after)
        assert_clean(bench)
        if now == before:
            assert times(bench.project) == stamps
        outcomes.append(now == after)
        shutil.rmtree(bench.directory)
        if through:
            break
    assert outcomes[0] is False
    assert outcomes[-1] is True
    assert outcomes == sorted(outcomes), "once committed, it stays committed"
    assert len(outcomes) > 25


@pytest.mark.slow
def test_a_kill_at_any_point_of_an_undo_leaves_all_or_nothing(prepared: Bench, tmp_path: Path) -> None:
    for die_at in range(1, MANY):
        bench = copy_of(prepared, tmp_path / str(die_at))
        original, stamps = facts(bench.project), times(bench.project)
        bench.apply()
        applied = facts(bench.project)

        def undo(at: At, bench: Bench = bench) -> None:
            applier = bench.applier(at)
            applier.undo(applier.last("e1"), ApplyOptions())

        through = in_child(undo, die_at)
        recovered_through_kills(bench.home)
        assert facts(bench.project) in (original, applied)
        assert_clean(bench)
        if facts(bench.project) == original:
            assert times(bench.project) == stamps
        shutil.rmtree(bench.directory)
        if through:
            break
    assert through


def killed_at(bench: Bench, point: Point, nth: int = 1) -> None:
    """Leave the project as a kill at the n-th such point does."""
    seen = 0

    def work(at: At) -> None:
        def only(reached: Point) -> None:
            nonlocal seen
            if reached is point:
                seen += 1
                if seen == nth:
                    at(reached)

        bench.apply(at=only)

    assert not in_child(work, 1)


def test_what_the_user_wrote_after_the_kill_is_never_overwritten(prepared: Bench, tmp_path: Path) -> None:
    bench = copy_of(prepared, tmp_path / "one")
    killed_at(bench, Point.SWAPPED)
    (bench.project / "keep/a").write_text("written since")
    (bench.project / "keep/c").write_text("written since too")
    (bench.project / "fresh/own").write_text("mine")
    (bench.project / "keep/b").write_text("made again")
    (found,) = recover(bench.home)
    assert found.outcome is Outcome.UNDONE
    expected = {b"keep/a", b"keep/c", b"fresh", b"keep/b"}
    assert {stayed.path for stayed in found.stayed} == expected
    assert (bench.project / "keep/a").read_text() == "written since"
    assert (bench.project / "keep/c").read_text() == "written since too"
    assert (bench.project / "keep/b").read_text() == "made again"
    assert (bench.project / "fresh/own").read_text() == "mine"
    assert (bench.project / "gone/inner/y").read_text() == "old gone/inner/y"
    assert_clean(bench)


def test_the_next_apply_takes_an_interrupted_one_back_first(prepared: Bench, tmp_path: Path) -> None:
    bench = copy_of(prepared, tmp_path / "one")
    before = facts(bench.project)
    killed_at(bench, Point.SWAPPED_ONE, 3)
    with pytest.raises(ApplyInterruptedError, match="apply again"):
        bench.apply()
    assert facts(bench.project) == before
    bench.apply()
    assert facts(bench.project) == facts(prepared.head)
    assert_clean(bench)


def test_a_project_that_was_moved_waits_until_it_is_back(prepared: Bench, tmp_path: Path) -> None:
    bench = copy_of(prepared, tmp_path / "one")
    before: Facts = facts(bench.project)
    killed_at(bench, Point.SWAPPED)
    bench.project.rename(tmp_path / "away")
    assert [found.outcome for found in recover(bench.home)] == [Outcome.WAITING]
    (tmp_path / "away").rename(bench.project)
    assert [found.outcome for found in recover(bench.home)] == [Outcome.UNDONE]
    assert facts(bench.project) == before


def test_an_apply_of_a_live_process_is_left_alone(prepared: Bench, tmp_path: Path) -> None:
    bench = copy_of(prepared, tmp_path / "one")
    seen: list[Outcome] = []

    def look(point: Point) -> None:
        if point is Point.SWAPPED:
            pid = os.fork()
            if pid == 0:
                os._exit([found.outcome for found in recover(bench.home)] != [Outcome.BUSY])
            seen.append(Outcome.BUSY if os.waitpid(pid, 0)[1] == 0 else Outcome.UNDONE)

    bench.apply(at=look)
    assert seen == [Outcome.BUSY]
    assert facts(bench.project) == facts(prepared.head)
