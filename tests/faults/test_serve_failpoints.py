"""`sandstone serve` is killed at every named point that it reaches; the next controller puts everything in order, and
its client goes on as if there had been one controller.

The points and what reaches them are in `points.py`. By default a point of each kind is killed at, once; with
SANDSTONE_FAILPOINTS=all every one, as often as its table says. All tests share one store.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

import pytest

import engine.app  # noqa: F401 - with it, all points are registered
from engine.checkpoints.staging import Point
from engine.failpoints import EnginePoint
from engine.rpc.client import ExecutionClient
from engine.rpc.status import ControllerGoneError
from sandbox.failpoints import Failpoint, SandboxPoint, registered
from tests.e2e.command_bench import Running
from tests.faults import points
from tests.faults.consistency import assert_consistent, assert_disk_agrees, checkpoints, executions
from tests.faults.points import APPLY_POINTS, CHANGES, LOG, MANY, PLAN, Kill
from tests.faults.serve_victim import Served, ServeVictim, serve_victim
from tests.faults.victims import QuickBench, quick_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(240)]

ALL: Final = os.environ.get("SANDSTONE_FAILPOINTS") == "all"
_S, _E = SandboxPoint, EnginePoint
REPRESENTATIVES: Final = {
    _S.LEASE_TAKEN,
    _S.CONTAINER_CREATED,
    _S.AFTER_MOUNT,
    _S.RUNNING,
    _S.SANDBOX_DEAD,
    _S.AFTER_SEAL,
    _S.MERGED,
    Point.SWAPPED_ONE,
    Point.COMMITTED,
    _E.GC_VOLUMES_REMOVED,
    _E.JOURNAL_ROW_WRITTEN,
    _E.AFTER_ROLLBACK,
}
"""Those that leave the most behind. Of fork, of recovery and of taking an apply back every point is killed at."""
NOT_IN_SERVE: Final = {*points.EXPORT_POINTS}
"""The command writes the file, whoever has the execution; a controller streams."""

T = TypeVar("T", bound=Failpoint)


def chosen(table: Mapping[T, object] | Sequence[T]) -> list[T]:
    return [point for point in table if ALL or point in REPRESENTATIVES]


def kills_at(point: Failpoint, table: Mapping[Failpoint, tuple[Kill, ...]]) -> tuple[Kill, ...]:
    return table[point] if ALL else table[point][:1]


def test_every_registered_point_is_reached_in_a_controller_or_said_not_to_be() -> None:
    tables: tuple[Iterable[Failpoint], ...] = (
        *(points.STEP_POINTS, points.MERGE_POINTS, APPLY_POINTS, points.FORK_POINTS, points.ROLLBACK_POINTS),
        *(points.RECOVERY_POINTS, points.GC_POINTS, points.UNDONE_APPLY_POINTS, (_S.LAYER_FORGOTTEN,)),
    )
    covered = {point for table in tables for point in table}
    assert covered | NOT_IN_SERVE == set(registered())
    assert not covered & NOT_IN_SERVE
    assert covered > REPRESENTATIVES


@pytest.fixture(scope="module")
def bench() -> Iterator[QuickBench]:
    with quick_bench() as made:
        (made.project / "kept").write_text("kept\n")
        (made.project / "old").mkdir()
        (made.project / "old/file").write_text("old\n")
        yield made


@pytest.fixture(scope="module")
def victim(bench: QuickBench) -> Iterator[ServeVictim]:
    with serve_victim(bench) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_runs_and_the_project_is_as_it_was_afterwards(bench: QuickBench, victim: ServeVictim) -> Iterator[None]:
    before = bench.files()
    yield
    victim.rest()
    assert bench.files() == before
    assert bench.left() == []


def died(running: Running, point: str) -> None:
    """It killed itself at the point."""
    code, _ = running.ended()
    assert code == -signal.SIGKILL, f"{point} was never reached: {code}\n{running.stderr.decode()}"


def let_through(running: Running) -> None:
    """Its work is done and it stops in order."""
    code, _ = running.ended()
    assert code == 0, running.stderr


class Story:
    """What happens to the one execution that a client asks for, whose controllers die one after the other."""

    def __init__(self, victim: ServeVictim, plan: str = PLAN) -> None:
        self.victim, self.bench, self.plan = victim, victim.bench, plan
        self.before = set(executions(self.bench))
        self.told: list[str] = []
        self._asked = False

    @property
    def ours(self) -> list[str]:
        return [key for key in executions(self.bench) if key not in self.before]

    @property
    def completed(self) -> bool:
        """It has, though its controller may have died before it told anyone."""
        states = executions(self.bench)
        return [states[key] for key in self.ours] == ["completed"] and not self.victim.unanswered

    def kill(self, point: Failpoint, nth: int = 1) -> None:
        """Let the controller die there, asked to begin, to go on, or once more what it was asked before."""
        self.told.append(f"killed at {point} {nth}")
        died(self._driven(f"{point}:{nth}"), point)

    def _driven(self, failpoint: str = "") -> Served:
        if not self._asked:
            self._asked = True
            return self.victim.start(self.plan, failpoint)
        if self.victim.unanswered:
            return self.victim.retry(failpoint)
        (execution_id,) = self.ours
        return self.victim.resume(execution_id, failpoint)

    def put_in_order(self) -> None:
        """The next controller does, before it listens; it stands by."""
        states = executions(self.bench)
        committed = {key: checkpoints(self.bench, key) for key in self.ours}
        heard = {key: list(self.victim.heard.get(key, [])) for key in committed}
        self.victim.recover()
        shown = {record.id: record for record in self.victim.told()}
        assert self.victim.left() == [], self.told
        assert_disk_agrees(self.bench, self.told)
        for key, rows in committed.items():
            assert_consistent(self.bench, key, self.told)
            assert checkpoints(self.bench, key)[: len(rows)] == rows, self.told
            assert shown[key].state.value == ("completed" if states[key] == "completed" else "paused"), self.told
            if states[key] in ("running", "idle"):
                assert "interrupted" in shown[key].reason, self.told
            assert heard[key] == list(range(1, len(heard[key]) + 1)), self.told
            assert len(heard[key]) <= shown[key].last_sequence, self.told

    def finish(self) -> str:
        """The client goes on. There is one execution, which completed, and of which every event was told once."""
        told_all = not self.completed
        if told_all:
            let_through(self._driven())
        self.victim.rest()
        (execution_id,) = self.ours
        assert self.victim.unanswered == []
        assert executions(self.bench)[execution_id] == "completed", self.told
        if told_all:
            ((last,),) = self.bench.rows("SELECT MAX(sequence) FROM events WHERE execution_id=?", execution_id)
            assert self.victim.heard[execution_id] == list(range(1, last + 1)), self.told
        return execution_id


def changes_of(bench: QuickBench, execution_id: str) -> dict[str, str]:
    return {found["path"]: found["change"] for found in bench.shown("diff", execution_id)["changes"]}


def assert_ended_right(story: Story) -> None:
    execution_id = story.finish()
    steps = story.bench.shown("status", execution_id)["steps"]
    assert steps[-2]["stdout_tail"] == LOG, story.told
    assert {step["state"] for step in steps} == {"succeeded"}, story.told
    assert changes_of(story.bench, execution_id) == CHANGES, story.told


@pytest.mark.parametrize("point", chosen(points.STEP_POINTS))
def test_a_controller_killed_in_a_step_is_followed_by_one_that_ends_it_right(
    point: Failpoint, victim: ServeVictim
) -> None:
    story = Story(victim)
    for kill in kills_at(point, points.STEP_POINTS):
        if story.completed:
            story.put_in_order()
            assert_ended_right(story)
            story = Story(victim)
        story.kill(point, kill.nth)
    story.put_in_order()
    assert_ended_right(story)


@pytest.mark.parametrize("point", chosen(points.MERGE_POINTS))
def test_a_controller_killed_while_layers_are_merged_is_followed_by_one_that_ends_it_right(
    point: Failpoint, victim: ServeVictim
) -> None:
    story = Story(victim, points.MANY_PLAN)
    for kill in kills_at(point, points.MERGE_POINTS):
        story.kill(point, kill.nth)
    story.put_in_order()
    assert changes_of(victim.bench, story.finish()) == {f"f{number}": "added" for number in range(MANY)}


def test_a_controller_killed_while_a_layer_without_changes_goes_is_followed_by_one_that_ends_it_right(
    victim: ServeVictim,
) -> None:
    story = Story(victim, points.LOOKING_PLAN)
    story.kill(_S.LAYER_FORGOTTEN)
    story.put_in_order()
    assert changes_of(victim.bench, story.finish()) == {}


# -- asking again --------------------------------------------------------------------------------------------------

BEFORE_THE_ROW: Final = (_E.BEFORE_JOURNAL_ROW, _E.JOURNAL_ROW_WRITTEN)


@pytest.mark.parametrize("point", [*BEFORE_THE_ROW, _E.AFTER_JOURNAL_ROW])
def test_a_plan_asked_for_again_after_a_kill_is_executed_once(point: Failpoint, victim: ServeVictim) -> None:
    """The first row that such a controller writes is the execution's, with its request."""
    story = Story(victim)
    story.kill(point)
    accepted = story.ours
    assert len(accepted) == (point not in BEFORE_THE_ROW)
    assert len(victim.unanswered) == 1
    ((request_id, _),) = victim.unanswered
    story.put_in_order()
    assert_ended_right(story)
    assert [victim.answered[request_id]] == story.ours
    assert not accepted or accepted == story.ours


# -- the start -----------------------------------------------------------------------------------------------------


def test_controllers_killed_in_a_row_as_they_start_converge(victim: ServeVictim) -> None:
    """Each dies before it listens, at the next point of its recovery."""
    story = Story(victim)
    story.kill(_S.AFTER_MOUNT)
    for point in points.RECOVERY_POINTS:
        starting = victim.begin(point)
        died(starting, point)
        assert not starting.listening.done()
    story.put_in_order()
    assert_ended_right(story)


# -- the other verbs -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done(bench: QuickBench) -> str:
    """An execution that completed and is kept."""
    outcome = bench.run(PLAN, "--keep")
    assert outcome["state"] == "completed"
    return str(outcome["execution_id"])


def died_of(victim: ServeVictim, point: Failpoint, nth: int, ask: str, *values: str) -> None:
    """A client asks the controller for something, which dies of it at the point. ask: name of the client's method."""

    async def work(client: ExecutionClient) -> None:
        await getattr(client, ask)(*values)

    died(victim.begin(f"{point}:{nth}", work), point)


def applied(bench: QuickBench) -> bool:
    """Whether the project is as after the apply, or as before; nothing else will do."""
    files = set(bench.files())
    assert not [path for path in files if ".sandstone" in path]
    assert files in ({"kept", "old", "old/file"}, {"kept", "log", "last"})
    assert (bench.project / "kept").read_text() == ("changed\n" if "log" in files else "kept\n")
    return "log" in files


@pytest.mark.parametrize("nth", ["first", "later"] if ALL else ["first"])
@pytest.mark.parametrize("point", chosen(APPLY_POINTS))
def test_an_apply_whose_controller_is_killed_is_all_or_nothing_when_the_next_one_listens(
    point: Point, nth: str, done: str, victim: ServeVictim
) -> None:
    died_of(victim, point, 1 if nth == "first" else APPLY_POINTS[point], "apply", done)
    victim.recover()
    assert victim.left() == []
    committed = list(APPLY_POINTS).index(point) >= list(APPLY_POINTS).index(Point.COMMITTED)
    assert applied(victim.bench) == committed
    if not committed:
        victim.ask(lambda client: client.apply(done))
        assert applied(victim.bench)
    victim.ask(lambda client: client.undo(done))
    assert not applied(victim.bench)


def test_controllers_killed_in_a_row_while_they_take_an_apply_back_converge(done: str, victim: ServeVictim) -> None:
    died_of(victim, Point.SWAPPED_ONE, 3, "apply", done)
    for point in (Point.TAKEN_BACK_ONE, *points.UNDONE_APPLY_POINTS):
        died(victim.begin(point), point)
    victim.recover()
    assert not applied(victim.bench)


@pytest.mark.parametrize("point", chosen(points.ROLLBACK_POINTS))
def test_a_rollback_whose_controller_is_killed_has_happened_or_not(point: Failpoint, victim: ServeVictim) -> None:
    story = Story(victim)
    let_through(victim.start(PLAN))
    story._asked = True
    (execution_id,) = story.ours
    died_of(victim, point, 1, "rollback", execution_id, "c1")
    victim.recover()
    assert victim.left() == []
    record, steps = victim.ask(lambda client: client.get_status(execution_id))
    happened = point is _E.AFTER_ROLLBACK
    assert (record.state.value, record.head) == (("paused", "c1") if happened else ("completed", "c5"))
    assert [step.state.value for step in steps] == ["succeeded", *["rolled_back" if happened else "succeeded"] * 4]
    if not happened:
        victim.ask(lambda client: client.rollback(execution_id, "c1"))
    assert_ended_right(story)


@pytest.mark.parametrize("point", points.FORK_POINTS)
def test_a_fork_whose_controller_is_killed_is_there_whole_or_not_at_all(
    point: Failpoint, done: str, victim: ServeVictim
) -> None:
    story = Story(victim)
    died_of(victim, point, 1, "fork", done, "c2")
    story.put_in_order()
    made = story.ours
    assert len(made) == (point is _E.AFTER_FORK_ROW)
    for execution_id in made:
        let_through(victim.resume(execution_id))
        assert executions(victim.bench)[execution_id] == "completed"
        assert changes_of(victim.bench, execution_id) == CHANGES


@pytest.mark.parametrize("point", chosen(points.GC_POINTS))
def test_a_gc_killed_beside_a_controller_disturbs_nobody_and_is_finished_by_the_next(
    point: Failpoint, victim: ServeVictim
) -> None:
    """There is no verb for it: a command collects, beside the controller, which goes on."""
    bench = victim.bench
    bench.run(PLAN)
    newest = bench.run(points.FAILING_PLAN, expect=1)["execution_id"]
    victim.recover()
    died(bench.begin("gc", "--keep", "1", failpoint=point), point)
    story = Story(victim)
    let_through(story._driven())
    bench("status")
    bench("gc", "--keep", "2")
    assert_disk_agrees(bench, point)
    assert [row[1] for row in checkpoints(bench, newest)] == ["start"]
    assert_ended_right(story)


def test_a_client_of_a_controller_that_dies_is_told_so(done: str, victim: ServeVictim) -> None:
    served = victim.begin(Point.RECORDED)
    served.listening.result(60)
    with pytest.raises(ControllerGoneError):
        victim.ask(lambda client: client.apply(done))
    died(served, Point.RECORDED)
    victim.recover()
    assert not applied(victim.bench)
