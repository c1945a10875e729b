"""The controller is killed at every named point of what it does; the next command puts everything in order, and
`resume` ends with exactly the right result.

Every registered point is in one of the tables of `points.py`, with the command that reaches it; a point that no
command reaches any more fails its test. All tests of the module share one store, so each also starts from what the
ones before it left. The same inside `sandstone serve`: test_serve_failpoints.py.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

import engine.app  # noqa: F401 - with it, all points are registered
from engine.checkpoints.staging import Point
from engine.failpoints import EnginePoint
from sandbox.failpoints import Failpoint, SandboxPoint, registered
from tests.e2e.command_bench import Running, tree
from tests.faults.consistency import Row, assert_in_order, checkpoints, executions
from tests.faults.points import (
    APPLY_POINTS,
    CHANGES,
    EXPORT_POINTS,
    FAILING_PLAN,
    FORK_POINTS,
    GC_POINTS,
    LOG,
    LOOKING_PLAN,
    MANY,
    MANY_PLAN,
    MERGE_POINTS,
    ONCE_MORE,
    PLAN,
    RECOVERY_POINTS,
    RESUME,
    ROLLBACK_POINTS,
    RUN,
    STEP_POINTS,
    THOROUGH,
    UNDONE_APPLY_POINTS,
    Kill,
)
from tests.faults.victims import QuickBench, RunVictim, quick_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]


def test_every_registered_point_is_killed_at_by_some_test() -> None:
    tables = (STEP_POINTS, MERGE_POINTS, APPLY_POINTS, GC_POINTS, EXPORT_POINTS, FORK_POINTS, ROLLBACK_POINTS)
    tables += (RECOVERY_POINTS,)
    covered = {point for table in tables for point in table} | {SandboxPoint.LAYER_FORGOTTEN, *UNDONE_APPLY_POINTS}
    assert covered == set(registered())
    assert len(registered()) == len({str(point) for point in registered()}), "two points have one name"


@pytest.fixture(scope="module")
def bench() -> Iterator[QuickBench]:
    with quick_bench() as made:
        (made.project / "kept").write_text("kept\n")
        (made.project / "old").mkdir()
        (made.project / "old/file").write_text("old\n")
        yield made


@pytest.fixture(autouse=True)
def _the_project_is_as_it_was_afterwards(bench: QuickBench) -> Iterator[None]:
    before = bench.files()
    yield
    assert bench.files() == before


def died(running: Running, point: str) -> None:
    """It killed itself at the point."""
    code, stdout = running.ended()
    assert code == -signal.SIGKILL, f"{point} was never reached: {code}\n{stdout}\n{running.stderr.decode()}"


class Story:
    """What happens to one execution, killed again and again."""

    def __init__(self, bench: QuickBench) -> None:
        self.bench = bench
        self.victim = RunVictim(bench)
        self.before = set(executions(bench))
        self.committed: dict[str, list[Row]] = {}
        self.told: list[str] = []

    @property
    def open(self) -> str | None:
        """The newest execution of this story that did not complete."""
        ours = [key for key, state in executions(self.bench).items() if key not in self.before and state != "completed"]
        return ours[-1] if ours else None

    def kill(self, point: Failpoint, kill: Kill, plan: str = PLAN) -> None:
        """Let it die there."""
        self.told.append(f"{kill.command} killed at {point} {kill.nth}")
        failpoint, target = f"{point}:{kill.nth}", self.open
        for key in set(executions(self.bench)) - self.before:
            self.committed[key] = checkpoints(self.bench, key)
        if kill.command == RESUME and target:
            died(self.victim.resume(target, failpoint), point)
        else:
            died(self.victim.start(plan, failpoint), point)

    def put_in_order(self) -> None:
        """The next command does; nothing that was committed at a kill is lost."""
        states = executions(self.bench)
        committed = {key: checkpoints(self.bench, key) for key in states if key not in self.before}
        for key, rows in self.committed.items():
            assert committed[key][: len(rows)] == rows, self.told
        shown = {found["execution_id"]: found for found in self.bench.shown("status")}
        assert_in_order(self.bench, committed, self.told)
        for key in committed:
            assert shown[key]["state"] == ("completed" if states[key] == "completed" else "paused"), self.told
            if states[key] in ("running", "idle"):
                assert "interrupted" in shown[key]["error"], self.told

    def finish(self) -> list[str]:
        """Resume what is open; ids of the story's executions, which have completed."""
        while target := self.open:
            code, stdout = self.victim.resume(target).ended()
            outcome = json.loads(stdout)
            assert (code, outcome["state"]) == (0, "completed"), (self.told, outcome)
            assert {step["state"] for step in outcome["steps"]} == {"succeeded"}, self.told
        assert self.bench.left() == [], self.told
        return [key for key in executions(self.bench) if key not in self.before]


def assert_ended_right(story: Story) -> None:
    for execution_id in story.finish():
        steps = story.bench.shown("status", execution_id)["steps"]
        assert steps[-2]["stdout_tail"] == LOG, story.told
        changes = {found["path"]: found["change"] for found in story.bench.shown("diff", execution_id)["changes"]}
        assert changes == CHANGES, story.told


@pytest.mark.parametrize("point", STEP_POINTS)
def test_a_run_killed_at_a_point_is_resumed_and_ends_right(point: Failpoint, bench: QuickBench) -> None:
    story = Story(bench)
    for kill in STEP_POINTS[point]:
        story.kill(point, kill)
    story.put_in_order()
    assert_ended_right(story)


@pytest.mark.parametrize("point", MERGE_POINTS)
def test_a_run_killed_while_layers_are_merged_is_resumed_and_ends_right(point: Failpoint, bench: QuickBench) -> None:
    story = Story(bench)
    for kill in MERGE_POINTS[point]:
        story.kill(point, kill, MANY_PLAN)
    story.put_in_order()
    (execution_id,) = story.finish()
    changes = {found["path"]: found["change"] for found in bench.shown("diff", execution_id)["changes"]}
    assert changes == {f"f{number}": "added" for number in range(MANY)}, story.told


def test_a_run_killed_while_a_layer_without_changes_goes_is_resumed(bench: QuickBench) -> None:
    story = Story(bench)
    for kill in ONCE_MORE:
        story.kill(SandboxPoint.LAYER_FORGOTTEN, kill, LOOKING_PLAN)
    story.put_in_order()
    (execution_id,) = story.finish()
    assert bench.shown("diff", execution_id)["changes"] == []


@pytest.mark.parametrize("nth", range(4, 9))
def test_a_death_after_a_failed_step_does_not_let_the_steps_behind_it_run(nth: int, bench: QuickBench) -> None:
    """Between the row of the failure and those of what follows from it: rollback, skipped steps, the end."""
    story = Story(bench)
    running = story.victim.start(FAILING_PLAN, f"{EnginePoint.AFTER_JOURNAL_ROW}:{nth}")
    assert running.ended()[0] in (-signal.SIGKILL, 1), running.stderr
    bench("status")
    ((execution_id, state),) = [item for item in executions(bench).items() if item[0] not in story.before]
    if state != "failed":
        code, _ = story.victim.resume(execution_id).ended()
        assert code == 1
    outcome = bench.shown("status", execution_id)
    assert outcome["state"] == "failed"
    assert [step["state"] for step in outcome["steps"]] == ["rolled_back", "failed", "skipped"]
    assert bench.shown("diff", execution_id)["changes"] == []
    assert bench.left() == []


# -- recovery itself -----------------------------------------------------------------------------------------------


def whole_journal(bench: QuickBench) -> list[Row]:
    tables = ("executions", "steps", "checkpoints", "events", "layers", "volumes")
    return [row for table in tables for row in bench.rows(f"SELECT * FROM {table}")]


@pytest.mark.parametrize("nth", [1, 2])
def test_kills_in_a_row_during_recovery_converge(nth: int, bench: QuickBench) -> None:
    """At each of its points in turn, the ninth finds what the eight before it left; a further recovery does nothing."""
    story = Story(bench)
    story.kill(SandboxPoint.AFTER_MOUNT, Kill(RUN, nth))
    reached = []
    for point in RECOVERY_POINTS:
        running = bench.begin("status", failpoint=point)
        if running.ended()[0] == -signal.SIGKILL:
            reached.append(point)
    assert reached == list(RECOVERY_POINTS), "a recovery did not get there"
    story.put_in_order()
    before = whole_journal(bench)
    bench("status")
    assert whole_journal(bench) == before
    assert_ended_right(story)


# -- the other verbs -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done(bench: QuickBench) -> str:
    """An execution that completed and is kept."""
    outcome = bench.run(PLAN, "--keep")
    assert outcome["state"] == "completed"
    return str(outcome["execution_id"])


def applied(bench: QuickBench) -> bool:
    """Whether the project is as after the apply, or as before; nothing else will do."""
    files = set(bench.files())
    assert not [path for path in files if ".sandstone" in path]
    assert files in ({"kept", "old", "old/file"}, {"kept", "log", "last"})
    assert (bench.project / "kept").read_text() == ("changed\n" if "log" in files else "kept\n")
    return "log" in files


@pytest.mark.parametrize("nth", ["first", "later"] if THOROUGH else ["later"])
@pytest.mark.parametrize("point", APPLY_POINTS)
def test_an_apply_killed_at_a_point_is_all_or_nothing_after_the_next_command(
    point: Point, nth: str, done: str, bench: QuickBench
) -> None:
    times = 1 if nth == "first" else APPLY_POINTS[point]
    died(bench.begin("apply", done, failpoint=f"{point}:{times}"), point)
    bench("status")
    assert bench.left() == []
    committed = list(APPLY_POINTS).index(point) >= list(APPLY_POINTS).index(Point.COMMITTED)
    assert applied(bench) == committed
    if not committed:
        bench("apply", done)
        assert applied(bench)
    bench("apply", done, "--undo")
    assert not applied(bench)


def test_kills_in_a_row_while_an_apply_is_taken_back_converge(done: str, bench: QuickBench) -> None:
    died(bench.begin("apply", done, failpoint=f"{Point.SWAPPED_ONE}:3"), Point.SWAPPED_ONE)
    for point in (Point.TAKEN_BACK_ONE, *UNDONE_APPLY_POINTS[:2]):
        died(bench.begin("status", failpoint=point), point)
    bench("status")
    assert not applied(bench)
    died(bench.begin("apply", done, failpoint=Point.SWAPPED), Point.SWAPPED)
    died(bench.begin("status", failpoint=Point.FORGOTTEN), Point.FORGOTTEN)
    bench("status")
    assert not applied(bench)


@pytest.mark.parametrize("point", ROLLBACK_POINTS)
def test_a_rollback_killed_at_a_point_has_happened_or_not(point: Failpoint, bench: QuickBench) -> None:
    story = Story(bench)
    code, stdout = story.victim.start(PLAN).ended()
    execution_id = json.loads(stdout)["execution_id"]
    assert code == 0
    died(bench.begin("rollback", execution_id, "--to", "c1", failpoint=point), point)
    found = bench.shown("status", execution_id)
    happened = point is EnginePoint.AFTER_ROLLBACK
    assert (found["state"], found["head"]) == (("paused", "c1") if happened else ("completed", "c5"))
    states = [step["state"] for step in found["steps"]]
    assert states == ["succeeded", *["rolled_back" if happened else "succeeded"] * 4]
    if not happened:
        bench("rollback", execution_id, "--to", "c1")
    assert bench.left() == []
    assert_ended_right(story)


@pytest.mark.parametrize("point", EXPORT_POINTS)
def test_an_export_killed_at_a_point_leaves_all_of_the_file_or_nothing(
    point: Failpoint, done: str, bench: QuickBench
) -> None:
    directory = bench.directory / str(point)
    directory.mkdir()
    died(bench.begin("export", done, "--tar", str(directory / "out.tar"), failpoint=point), point)
    left = tree(directory)
    assert list(left) == (["out.tar"] if point is EnginePoint.EXPORT_PLACED else [])
    bench("export", done, "--tar", directory / "out.tar")
    assert not left or tree(directory) == left


@pytest.mark.parametrize("point", GC_POINTS)
def test_a_gc_killed_at_a_point_is_finished_by_the_next(point: Failpoint, bench: QuickBench) -> None:
    """Of two executions one goes; the other failed and was rolled back, and loses what is above its head."""
    bench.run(PLAN)
    newest = bench.run(FAILING_PLAN, expect=1)["execution_id"]
    died(bench.begin("gc", "--keep", "1", failpoint=point), point)
    bench("status")
    assert bench.left() == []
    bench("gc", "--keep", "1")
    assert newest in executions(bench)
    assert [row[1] for row in checkpoints(bench, newest)] == ["start"]
    assert_in_order(bench, {}, point)


@pytest.mark.parametrize("point", FORK_POINTS)
def test_a_fork_killed_at_a_point_is_there_whole_or_not_at_all(point: Failpoint, done: str, bench: QuickBench) -> None:
    story = Story(bench)
    died(bench.begin("fork", done, "--from", "c2", "--json", failpoint=point), point)
    story.put_in_order()
    assert (story.open is not None) == (point is EnginePoint.AFTER_FORK_ROW)
    for execution_id in story.finish():
        changes = {found["path"]: found["change"] for found in bench.shown("diff", execution_id)["changes"]}
        assert changes == CHANGES
