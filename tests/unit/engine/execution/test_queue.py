"""Who gets a turn, and what happens to executions that wait for theirs."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import QueueFullError, WrongStateError
from engine.execution.control import PauseMode
from engine.execution.queue import ExecutionQueue
from engine.execution.recovery import REASON
from engine.execution.turns import Waiting, in_turn
from engine.journal.states import ExecutionState
from sandbox.workspace.sealed import install
from tests.fakes.engine_world import Listening, Scripted, World, plan_of, until, world


def command(step_id: str, run: str = "ok", **more: object) -> dict[str, object]:
    return {"id": step_id, "type": "command", "run": run, **more}


WORK = plan_of([command("work", "work")])


def ids(waiting: list[Waiting]) -> str:
    return " ".join(one.execution_id for one in waiting)


def waiting(*names: str) -> list[Waiting]:
    """From names like `a1` (workspace a) and `a1r` (it was paused), in the order in which they came."""
    return [Waiting(name, name[0], name.endswith("r"), number) for number, name in enumerate(names, 1)]


# -- whose turn it is ----------------------------------------------------------------------------------------------


def test_within_a_workspace_it_is_first_come_first_served() -> None:
    assert ids(in_turn(waiting("a1", "a2", "a3"), {})) == "a1 a2 a3"


def test_workspaces_take_turns() -> None:
    assert ids(in_turn(waiting("a1", "a2", "a3", "b1", "c1", "b2"), {})) == "a1 b1 c1 a2 b2 a3"


def test_a_workspace_that_had_its_turn_lately_comes_last() -> None:
    assert ids(in_turn(waiting("a1", "b1", "c1"), {"a": 7, "b": 5, "c": 6})) == "b1 c1 a1"


def test_what_was_paused_comes_before_what_never_ran() -> None:
    assert ids(in_turn(waiting("a1", "b1", "a2r", "a3r", "b2r"), {})) == "a2r b2r a3r b1 a1"


async def test_only_so_many_run_and_a_place_given_back_is_the_next_ones() -> None:
    queue = ExecutionQueue(2, 10)
    places = {name: queue.enter(name, name[0], resumed=False) for name in ("a1", "a2", "a3", "b1")}
    assert queue.running == {"a1", "a2"}
    assert [queue.position(name) for name in places] == [None, None, 2, 1]
    queue.leave("a1")
    assert places["b1"].granted
    assert not places["a3"].granted
    assert queue.position("a3") == 1
    queue.leave("a3")
    assert not await places["a3"].turn()
    queue.leave("a2")
    queue.leave("b1")
    assert queue.running == frozenset()


async def test_a_queue_has_an_end_and_a_place_in_it_frees_another() -> None:
    queue = ExecutionQueue(1, 2)
    for name in ("a1", "a2", "a3"):
        queue.enter(name, "a", resumed=False)
    with pytest.raises(QueueFullError) as error:
        queue.enter("a4", "a", resumed=False)
    assert (error.value.limit, error.value.retryable) == (2, True)
    queue.leave("a2")
    assert queue.enter("a4", "a", resumed=False).granted is False


async def test_a_new_workspace_does_not_overtake_those_that_waited() -> None:
    """Else a stream of new ones would keep an old one waiting for ever."""
    queue = ExecutionQueue(1, 10)
    for name in ("a1", "a2", "b1"):
        queue.enter(name, name[0], resumed=False)
    queue.leave("a1")
    assert queue.running == {"b1"}
    queue.enter("c1", "c", resumed=False)
    queue.leave("b1")
    assert queue.running == {"a2"}


# -- executions that wait ------------------------------------------------------------------------------------------


async def busy(here: World) -> tuple[str, asyncio.Event]:
    """An execution that has the only place until the event is set."""
    done = asyncio.Event()
    here.commands["hold"] = Scripted(stdout=b"on\n", until=done)
    listening = Listening(here.engine)
    execution_id = await here.engine.start(plan_of([command("hold", "hold")]), here.project)
    await listening.output()
    return execution_id, done


async def test_what_waits_is_idle_takes_no_volume_and_runs_in_its_turn(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1) as here:
        here.commands["work"] = Scripted()
        _, done = await busy(here)
        waits = await here.engine.start(WORK, here.project)
        assert here.journal.execution(waits).state is ExecutionState.IDLE
        assert waits not in [str(volume) for volume in here.store.volumes()]
        assert (await here.engine.get_progress(waits)).position == 1
        assert [event.data for event in here.journal.events(waits)] == [{"position": 1}]
        done.set()
        record = await here.engine.wait(waits)
        assert record.state is ExecutionState.COMPLETED
        assert here.kinds(waits)[:2] == ["execution-queued", "execution-started"]


async def test_never_more_run_than_may_and_all_of_them_come_to_an_end(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=2) as here:
        most = 0

        def effect(tree: Path) -> None:
            nonlocal most
            del tree
            most = max(most, len(here.queue.running))

        here.commands["work"] = Scripted(effect=effect)
        projects = [here.project]
        for name in ("second", "third"):
            projects.append(tmp_path / name)
            projects[-1].mkdir()
        started = [await here.engine.start(WORK, projects[number % 3]) for number in range(12)]
        records = await asyncio.gather(*(here.engine.wait(execution_id) for execution_id in started))
        assert {record.state for record in records} == {ExecutionState.COMPLETED}
        assert most == 2
        assert here.queue.running == frozenset()


async def test_a_full_queue_refuses_and_leaves_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1, max_queued=1) as here:
        here.commands["work"] = Scripted()
        _, done = await busy(here)
        await here.engine.start(WORK, here.project)
        with pytest.raises(QueueFullError):
            await here.engine.start(WORK, here.project)
        assert len(here.journal.executions()) == 2
        assert len(list((here.home / "locks").iterdir())) == 2
        done.set()


async def test_a_workspace_that_is_gone_at_its_turn_fails_the_execution(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1) as here:
        _, done = await busy(here)
        gone = tmp_path / "gone"
        gone.mkdir()
        waits = await here.engine.start(WORK, gone)
        gone.rmdir()
        done.set()
        record = await here.engine.wait(waits)
        assert record.state is ExecutionState.FAILED
        assert "gone" in record.reason


async def test_a_change_made_while_it_waited_is_no_conflict(tmp_path: Path) -> None:
    """The workspace is looked at when its turn comes, and not before."""
    async with world(tmp_path, max_running=1) as here:
        seen: list[str] = []
        here.commands["work"] = Scripted(effect=lambda tree: seen.append((tree / "gcd.py").read_text()))
        _, done = await busy(here)
        waits = await here.engine.start(WORK, here.project)
        before = here.journal.execution(waits).start_ns
        assert here.journal.baseline(waits) == {}
        (here.project / "gcd.py").write_text("edited\n")
        done.set()
        record = await here.engine.wait(waits)
        assert seen == ["edited\n"]
        assert record.start_ns > before
        assert list(here.journal.baseline(waits)) == [b""]


async def test_a_paused_execution_gives_its_place_to_the_next_and_waits_for_another(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1) as here:
        here.commands["work"] = Scripted()
        frozen, done = await busy(here)
        waits = await here.engine.start(WORK, here.project)
        await here.engine.pause(frozen, PauseMode.NOW)
        assert (await here.engine.wait(waits)).state is ExecutionState.COMPLETED
        second = asyncio.Event()
        here.commands["work"] = Scripted(until=second)
        running = await here.engine.start(WORK, here.project)
        last = await here.engine.start(WORK, here.project)
        record = await here.engine.resume(frozen)
        assert record.state is ExecutionState.IDLE
        assert here.states(frozen) == ["running"]
        assert (await here.engine.get_progress(frozen)).position == 1
        assert (await here.engine.get_progress(last)).position == 2
        done.set()
        second.set()
        records = await asyncio.gather(*(here.engine.wait(one) for one in (frozen, running, last)))
        assert {record.state for record in records} == {ExecutionState.COMPLETED}
        assert here.journal.steps(frozen)[0].attempts == 1
        tail = [kind for kind in here.kinds(frozen) if kind.startswith("execution-") and kind != "execution-progress"]
        assert tail == [
            "execution-started",
            "execution-paused",
            "execution-queued",
            "execution-resumed",
            "execution-completed",
        ]


async def test_a_pause_in_the_queue_gives_the_place_up_and_resume_enters_again(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1) as here:
        here.commands["work"] = Scripted()
        _, done = await busy(here)
        waits = await here.engine.start(WORK, here.project)
        assert (await here.engine.pause(waits)).state is ExecutionState.PAUSED
        assert here.queue.position(waits) is None
        with pytest.raises(WrongStateError):
            await here.engine.resume(next(iter(here.queue.running)))
        assert (await here.engine.resume(waits)).state is ExecutionState.IDLE
        assert (await here.engine.pause(waits)).state is ExecutionState.PAUSED
        await here.engine.resume(waits)
        done.set()
        assert (await here.engine.wait(waits)).state is ExecutionState.COMPLETED
        assert here.kinds(waits).count("execution-started") == 1


async def test_a_fork_has_a_place_of_its_own_and_gives_it_back(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1) as here:
        here.commands["work"] = Scripted()
        origin = await here.engine.execute_plan(WORK, here.project)
        for _ in range(3):
            fork = await here.engine.fork(origin.id, "start")
            assert (await here.engine.wait(fork)).state is ExecutionState.COMPLETED
        _, done = await busy(here)
        fork = await here.engine.fork(origin.id, "start")
        assert here.journal.execution(fork).state is ExecutionState.IDLE
        assert (await here.engine.get_progress(fork)).position == 1
        done.set()
        assert (await here.engine.wait(fork)).state is ExecutionState.COMPLETED


async def test_what_has_never_had_its_turn_cannot_be_forked(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1) as here:
        here.commands["work"] = Scripted()
        _, done = await busy(here)
        waits = await here.engine.start(WORK, here.project)
        with pytest.raises(WrongStateError):
            await here.engine.fork(waits, "start")
        done.set()


def _kill(here: World, execution_id: str) -> None:
    """Make the journal what it is when the process dies while the execution waits."""
    with closing(sqlite3.connect(here.home / "journal.db")) as connection, connection:
        install(connection)
        connection.execute("UPDATE executions SET state='idle', end_time=NULL WHERE id=?", (execution_id,))


async def test_an_execution_that_died_in_the_queue_is_paused_and_can_go_on(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1) as here:
        here.commands["work"] = Scripted(effect=lambda tree: (tree / "w").write_text("w"))
        _, done = await busy(here)
        waits = await here.engine.start(WORK, here.project)
        await here.engine.cancel(waits)
        await asyncio.to_thread(_kill, here, waits)
        assert await here.recovered() == [waits]
        record = here.journal.execution(waits)
        assert (record.state, record.reason) == (ExecutionState.PAUSED, REASON)
        assert (await here.engine.resume(waits)).state is ExecutionState.IDLE
        done.set()
        assert (await here.engine.wait(waits)).state is ExecutionState.COMPLETED
        assert here.content(waits, "w") == b"w"
        await until(lambda: not here.queue.running)


async def test_a_fork_takes_a_turn_and_gives_it_back(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1) as here:
        here.commands["ok"] = Scripted()
        origin = await here.engine.execute_plan(plan_of([command("a")]), here.project)
        for _ in range(3):
            fork = await here.engine.fork(origin.id, "c0")
            assert (await here.engine.wait(fork)).state is ExecutionState.COMPLETED
        assert here.engine.load.running == 0


async def test_a_fault_of_our_own_fails_the_execution_and_frees_its_place(tmp_path: Path) -> None:
    def broken(tree: Path) -> None:
        raise RuntimeError("broken on purpose")

    async with world(tmp_path, max_running=1) as here:
        here.commands["work"] = Scripted(effect=broken)
        execution_id = await here.engine.start(WORK, here.project)
        with pytest.raises(RuntimeError, match="on purpose"):
            await here.engine.wait(execution_id)
        record = here.journal.execution(execution_id)
        assert (record.state, "on purpose" in record.reason) == (ExecutionState.FAILED, True)
        assert here.queue.running == frozenset()
