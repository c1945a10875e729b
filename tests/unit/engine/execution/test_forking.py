"""What a fork starts from, which of its steps run, and what is its own; over scripted sandboxes and plain copies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.checkpoints.results import Results
from engine.errors import ApplyConflictError, NotFoundError
from engine.events.types import Event, EventKind
from engine.execution.control import PauseMode
from engine.execution.forking import inherited, outcome_told
from engine.execution.hide import together
from engine.journal.records import CheckpointKind, CheckpointRecord, StepRecord
from engine.journal.states import ExecutionState, StepState
from sandbox.errors import HostDiskFullError
from sandbox.workspace.layer import LayerName
from sandbox.workspace.manifest import Entry, EntryKind, Manifest
from tests.fakes.engine_world import Scripted, World, plan_of, world

ONE = {"id": "one", "type": "file_create", "path": "one.txt", "content": "1\n"}
TWO = {"id": "two", "type": "command", "run": "two"}
THREE = {"id": "three", "type": "file_create", "path": "three.txt", "content": "3\n"}
OTHER = {"id": "other", "type": "file_create", "path": "other.txt", "content": "other\n"}
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def write(here: World, command: str, path: str, content: str, **more: Any) -> list[int]:
    """Script `command` to write a file; returns a list that grows by one entry a run."""
    ran: list[int] = []

    def effect(tree: Path) -> None:
        ran.append(1)
        (tree / path).write_text(content)

    here.commands[command] = Scripted(stdout=f"{command} ran\n".encode(), effect=effect, **more)
    return ran


def steps(here: World, execution_id: str) -> dict[str, tuple[str, str | None]]:
    return {step.id: (step.state.value, step.checkpoint) for step in here.journal.steps(execution_id)}


def succeeded(**checkpoints: str) -> dict[str, tuple[str, str]]:
    return {step: ("succeeded", checkpoint) for step, checkpoint in checkpoints.items()}


async def results(here: World) -> Results:
    """`Results` over the world's own parts."""
    engine: Any = here.engine
    parts = (engine._journal, here.store._target, here.locks, here.logs, engine._writer)
    return await asyncio.to_thread(Results, here.home, *parts, asyncio.to_thread)


async def changed(here: World, execution_id: str, a: str | None = None, b: str | None = None) -> list[str]:
    return [change.path.decode() for change in await (await results(here)).changes(execution_id, a, b)]


async def forked(here: World, execution_id: str, checkpoint: str, **more: Any) -> str:
    """The id of a fork that has come to its end."""
    fork = await here.engine.fork(execution_id, checkpoint, **more)
    await here.engine.wait(fork)
    return fork


async def until_two_runs(here: World, execution_id: str) -> None:
    subscription = here.engine.bus.subscribe(execution_id)
    if steps(here, execution_id)["two"][0] != "running":
        async for item in subscription:
            if isinstance(item, Event) and item.kind is EventKind.STEP_STARTED and item.step_id == "two":
                break
    subscription.close()


async def test_a_fork_runs_what_is_above_its_checkpoint_and_keeps_the_outcomes_below(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        ran = write(here, "two", "two.txt", "2\n")
        origin = await here.engine.execute_plan(plan_of([ONE, TWO, THREE]), here.project)
        fork = await forked(here, origin.id, "c2")
        record = here.journal.execution(fork)
        assert (record.state, record.head, record.forked_from) == (ExecutionState.COMPLETED, "c1", f"{origin.id}:c2")
        assert steps(here, fork) == {
            "one": ("succeeded", "c0"),
            "two": ("succeeded", "c0"),
            "three": ("succeeded", "c1"),
        }
        assert len(ran) == 1
        two = here.journal.steps(fork)[1]
        assert (two.attempts, two.exit_code, two.stdout_tail) == (1, 0, b"two ran\n")
        assert (record.start_ns, record.workspace, record.workspace_dev, record.workspace_inode, record.image_id) == (
            origin.start_ns,
            origin.workspace,
            origin.workspace_dev,
            origin.workspace_inode,
            origin.image_id,
        )
        assert here.content(fork, "two.txt") == b"2\n"
        assert here.content(fork, "three.txt") == b"3\n"
        assert here.kinds(fork)[:2] == ["execution-forked", "execution-started"]
        event = here.journal.events(fork)[0]
        told = {"origin": origin.id, "origin_name": "test", "checkpoint": "c2", "done": ["one", "two"]}
        assert (event.sequence, event.data) == (1, told)
        assert here.journal.execution(origin.id) == origin


async def test_a_fork_brings_the_logs_of_what_it_does_not_run_again(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        write(here, "two", "two.txt", "2\n")
        origin = await here.engine.execute_plan(plan_of([ONE, TWO, THREE]), here.project)
        kept, without = await forked(here, origin.id, "c2"), await forked(here, origin.id, "c1")
        for fork, attempts in ((kept, 1), (without, 1)):
            logs = await asyncio.to_thread(lambda fork=fork: list(here.logs.files(fork)))
            assert [(log.step_index, log.attempt, log.stream.value) for log in logs] == [(1, attempts, "stdout")]
        (inherited_log,) = await asyncio.to_thread(lambda: list(here.logs.files(kept)))
        assert await asyncio.to_thread(inherited_log.path.read_bytes) == b"two ran\n"


async def test_with_another_plan_all_steps_run_over_the_checkpoint(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        write(here, "two", "two.txt", "2\n")
        origin = await here.engine.execute_plan(plan_of([ONE, TWO, THREE]), here.project)
        fork = await forked(here, origin.id, "c2", plan=plan_of([OTHER, TWO]), name="tried")
        assert here.journal.find("tried").id == fork
        assert steps(here, fork) == succeeded(other="c1", two="c2")
        assert here.content(fork, "one.txt") == b"1\n"
        assert here.content(fork, "three.txt") is None


async def test_a_fork_of_the_start_runs_everything(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        ran = write(here, "two", "two.txt", "2\n")
        origin = await here.engine.execute_plan(plan_of([ONE, TWO]), here.project)
        fork = await forked(here, origin.id, "start")
        assert here.journal.execution(fork).forked_from == f"{origin.id}:c0"
        assert steps(here, fork) == succeeded(one="c1", two="c2")
        assert len(ran) == 2


async def test_a_fork_of_a_failed_attempt_starts_from_what_that_left_and_runs_the_step_again(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        write(here, "two", "half.txt", "half\n", exit_code=1)
        origin = await here.engine.execute_plan(plan_of([ONE, TWO, THREE]), here.project)
        assert (origin.state, origin.head) == (ExecutionState.FAILED, "c0")
        write(here, "two", "two.txt", "2\n")
        fork = await forked(here, origin.id, "two!failed")
        assert here.journal.execution(fork).state is ExecutionState.COMPLETED
        # Rolled back in the origin, but its effect is below what is forked.
        assert steps(here, fork) == {
            "one": ("succeeded", "c0"),
            "two": ("succeeded", "c1"),
            "three": ("succeeded", "c2"),
        }
        assert here.content(fork, "half.txt") == b"half\n"
        assert here.content(fork, "one.txt") == b"1\n"


async def test_a_fork_of_a_fork_stands_on_both(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        write(here, "two", "two.txt", "2\n")
        origin = await here.engine.execute_plan(plan_of([ONE, TWO, THREE]), here.project)
        child = await forked(here, origin.id, "c1", plan=plan_of([OTHER, TWO]))
        grandchild = await forked(here, child, "c1")
        assert here.journal.execution(grandchild).forked_from == f"{child}:c1"
        assert steps(here, grandchild) == succeeded(other="c0", two="c1")
        assert await changed(here, grandchild) == ["one.txt", "other.txt", "two.txt"]
        again = await forked(here, grandchild, "c0")
        assert steps(here, again) == succeeded(other="c0", two="c1")


async def test_a_fork_of_a_forks_start_stands_on_the_origin_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        origin = await here.engine.execute_plan(plan_of([ONE, THREE]), here.project)
        child = await forked(here, origin.id, "c1")
        grandchild = await forked(here, child, "c0")
        start = here.journal.checkpoint(grandchild, "c0").layer
        assert here.store.stat(here.store.stat(start).parent).volume == origin.id


async def test_the_default_difference_is_everything_and_from_the_start_only_the_forks_own(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        origin = await here.engine.execute_plan(plan_of([ONE, THREE]), here.project)
        fork = await forked(here, origin.id, "c1", plan=plan_of([OTHER]))
        assert await changed(here, fork) == ["one.txt", "other.txt"]
        assert await changed(here, fork, "c0") == ["other.txt"]
        assert await changed(here, fork, None, "c0") == ["one.txt"]
        assert await changed(here, fork, "c1", "c0") == ["other.txt"]
        await (await results(here)).apply(fork)
        assert await asyncio.to_thread((here.project / "one.txt").read_text) == "1\n"
        assert await asyncio.to_thread((here.project / "other.txt").read_text) == "other\n"
        assert not await asyncio.to_thread((here.project / "three.txt").exists)


async def test_apply_of_a_fork_finds_the_conflicts_of_its_origin(tmp_path: Path) -> None:
    edit = {"id": "edit", "type": "file_edit", "path": "gcd.py", "replace": {"search": "a - b", "with": "a % b"}}
    async with world(tmp_path) as here:
        origin = await here.engine.execute_plan(plan_of([edit]), here.project)
        await asyncio.to_thread((here.project / "gcd.py").write_text, "mine now\n")
        fork = await forked(here, origin.id, "c1", plan=plan_of([OTHER]))
        told = []
        for execution_id in (origin.id, fork):
            with pytest.raises(ApplyConflictError) as caught:
                await (await results(here)).apply(execution_id)
            told.append(caught.value.conflicts)
        assert told[0] == told[1]
        assert [path for path, _ in told[1]] == ["gcd.py"]


async def test_a_fork_is_rolled_back_to_its_own_checkpoints_and_not_below_its_start(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        origin = await here.engine.execute_plan(plan_of([ONE, THREE, OTHER]), here.project)
        fork = await forked(here, origin.id, "c1")
        assert (await here.engine.rollback(fork)).id == "c1"
        assert (await here.engine.rollback(fork, "start")).id == "c0"
        assert steps(here, fork)["one"] == ("succeeded", "c0")
        with pytest.raises(NotFoundError, match=rf"execution {fork} is at its start \(c0\): nothing is before that"):
            await here.engine.rollback(fork)
        await here.engine.resume(fork)
        assert (await here.engine.wait(fork)).state is ExecutionState.COMPLETED
        assert await changed(here, fork) == ["one.txt", "other.txt", "three.txt"]


async def test_a_failure_takes_a_fork_back_to_its_start(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        write(here, "two", "half.txt", "half\n", exit_code=1)
        origin = await here.engine.execute_plan(plan_of([ONE, THREE]), here.project)
        fork = await forked(here, origin.id, "c2", plan=plan_of([OTHER, TWO]))
        record = here.journal.execution(fork)
        assert (record.state, record.head) == (ExecutionState.FAILED, "c0")
        assert await changed(here, fork) == ["one.txt", "three.txt"]


async def test_a_running_execution_is_forked_and_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["two"] = Scripted(hangs=True)
        running = await here.engine.start(plan_of([ONE, TWO, THREE]), here.project)
        await until_two_runs(here, running)
        fork = await forked(here, running, "c1", plan=plan_of([OTHER]))
        assert await changed(here, fork) == ["one.txt", "other.txt"]
        assert here.journal.execution(running).state is ExecutionState.RUNNING
        assert steps(here, running)["two"][0] == "running"
        await here.engine.cancel(running)
        # What the fork stands on is not closed with its origin.
        assert await changed(here, fork) == ["one.txt", "other.txt"]


async def test_forks_of_one_checkpoint_run_side_by_side_each_over_its_own_view(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        origin = await here.engine.execute_plan(plan_of([ONE, THREE]), here.project)
        plans = [
            plan_of([{"id": "new", "type": "file_create", "path": f"{number}.txt", "content": str(number)}])
            for number in range(6)
        ]
        forks = await asyncio.gather(*(here.engine.fork(origin.id, "c1", plan=plan) for plan in plans))
        await asyncio.gather(*(here.engine.wait(fork) for fork in forks))
        for number, fork in enumerate(forks):
            assert await changed(here, fork) == [f"{number}.txt", "one.txt"]


async def test_a_paused_fork_is_resumed_by_another_process(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        origin = await here.engine.execute_plan(plan_of([ONE, THREE]), here.project)
        fork = await forked(here, origin.id, "c1")
        await here.engine.rollback(fork, "c0")
    async with world(tmp_path) as again:
        await again.engine.resume(fork)
        assert (await again.engine.wait(fork)).state is ExecutionState.COMPLETED
        assert await changed(again, fork) == ["one.txt", "three.txt"]


async def test_what_the_origin_hid_stays_hidden_also_after_a_resume(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    async with world(tmp_path) as here:
        for name in (".env", "old.key"):
            await asyncio.to_thread((here.project / name).write_text, "secret")
        here.commands["two"] = Scripted(effect=lambda tree: seen.append(sorted(path.name for path in tree.iterdir())))
        origin = await here.engine.execute_plan(plan_of([ONE], sandbox={"hide": [".env"]}), here.project)
        fork = await forked(here, origin.id, "c1", plan=plan_of([TWO], sandbox={"hide": ["*.key"]}))
        await here.engine.rollback(fork, "c0")
        await asyncio.to_thread((here.project / "new.key").write_text, "made later")
    async with world(tmp_path) as again:
        again.commands["two"] = here.commands["two"]
        await again.engine.resume(fork)
        assert (await again.engine.wait(fork)).reason == ""
        assert await changed(again, fork) == ["one.txt"]
    assert [".env" in names or "old.key" in names for names in seen] == [False, False]


async def test_a_fork_of_what_does_not_exist_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        origin = await here.engine.execute_plan(plan_of([ONE]), here.project)
        with pytest.raises(NotFoundError, match="checkpoint"):
            await here.engine.fork(origin.id, "c7")
        with pytest.raises(NotFoundError, match="execution"):
            await here.engine.fork("f" * 32, "c0")
        with pytest.raises(NotFoundError, match="secret"):
            await here.engine.fork(origin.id, "c1", plan=plan_of([OTHER], secrets=["TOKEN"]))
        assert here.store.volumes() == [origin.id]
        assert [record.id for record in here.journal.executions()] == [origin.id]


async def test_a_fork_that_cannot_be_recorded_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(tmp_path) as here:
        write(here, "two", "two.txt", "2\n")
        origin = await here.engine.execute_plan(plan_of([ONE, TWO]), here.project)
        layers = list(here.store.walk())

        async def refuse(change: object) -> None:
            raise HostDiskFullError("the journal", 1, 0)

        engine: Any = here.engine
        monkeypatch.setattr(engine._writer, "write", refuse)
        with pytest.raises(HostDiskFullError):
            await here.engine.fork(origin.id, "c2")
        assert here.store.volumes() == [origin.id]
        assert list(here.store.walk()) == layers
        left = await asyncio.to_thread(lambda: [p.name for d in ("logs", "locks") for p in (here.home / d).iterdir()])
        assert set(left) == {origin.id}


async def test_a_fork_that_nobody_waits_for_any_more_leaves_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        origin = await here.engine.execute_plan(plan_of([ONE]), here.project)
        engine: Any = here.engine
        write_on, reached, go_on = engine._writer.write, asyncio.Event(), asyncio.Event()

        async def slowly(change: Any) -> Any:
            reached.set()
            await go_on.wait()
            return await write_on(change)

        engine._writer.write = slowly
        forking = asyncio.create_task(here.engine.fork(origin.id, "c1"))
        await reached.wait()
        forking.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await forking
        assert here.store.volumes() == [origin.id]
        assert [record.id for record in here.journal.executions()] == [origin.id]


async def test_the_outcome_that_stood_at_the_checkpoint_counts_not_a_later_one(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        write(here, "two", "two.txt", "2\n")
        origin = await here.engine.execute_plan(plan_of([ONE, TWO, THREE]), here.project)
        await here.engine.rollback(origin.id, "c1")
        write(here, "two", "half.txt", "half\n", exit_code=9)
        await here.engine.resume(origin.id)
        assert (await here.engine.wait(origin.id)).state is ExecutionState.FAILED
        assert here.journal.steps(origin.id)[1].exit_code == 9
        fork = await forked(here, origin.id, "c3")
        two = here.journal.steps(fork)[1]
        assert (two.state, two.exit_code, two.attempts, two.checkpoint) == (StepState.SUCCEEDED, 0, 1, "c0")
        assert here.journal.execution(fork).state is ExecutionState.COMPLETED
        assert await changed(here, fork) == ["one.txt", "three.txt", "two.txt"]


async def test_a_fork_of_a_paused_execution_leaves_it_paused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["two"] = Scripted(hangs=True)
        running = await here.engine.start(plan_of([ONE, TWO]), here.project)
        await until_two_runs(here, running)
        await here.engine.pause(running, PauseMode.NOW)
        fork = await forked(here, running, "c1", plan=plan_of([OTHER]))
        assert here.journal.execution(fork).state is ExecutionState.COMPLETED
        assert "execution-failed" not in here.kinds(running)
        assert steps(here, running)["two"][0] == "running"
        await here.engine.cancel(running)


# -- the pure parts ------------------------------------------------------------------------------


def point(number: int, step: str | None, kind: CheckpointKind = CheckpointKind.AUTOMATIC) -> CheckpointRecord:
    parent = f"c{number - 1}" if number else None
    return CheckpointRecord("e", number, step or "start", kind, LayerName(f"l{number}"), parent, step, NOW)


def test_a_step_is_inherited_by_its_row_by_its_checkpoint_or_not_at_all() -> None:
    line = [point(3, "c", CheckpointKind.FAILED), point(2, "b"), point(1, "a"), point(0, None)]

    def row(step: str, state: StepState, checkpoint: str | None) -> StepRecord:
        return StepRecord("e", 0, step, "command", state, checkpoint=checkpoint)

    succeeded = row("a", StepState.SUCCEEDED, "c1")
    assert inherited(succeeded, line) == (succeeded, line[2])
    undone = row("b", StepState.ROLLED_BACK, "c2")
    assert inherited(undone, line) == (undone, line[1])
    before = row("z", StepState.SUCCEEDED, "c0")
    assert inherited(before, line) == (before, None)
    assert inherited(row("b", StepState.SUCCEEDED, "c9"), line) == (None, line[1])
    assert inherited(row("b", StepState.RUNNING, "c2"), line) == (None, line[1])
    assert inherited(row("c", StepState.FAILED, "c3"), line) == (None, None)
    assert inherited(row("d", StepState.PENDING, None), line) == (None, None)


def test_an_outcome_is_told_by_the_events_of_the_run_that_left_the_checkpoint() -> None:
    def told(kind: EventKind, step: str = "b", **data: object) -> Event:
        return Event("e", 1, kind, NOW, step, data)

    def events() -> Iterator[Event]:
        yield told(EventKind.STEP_STARTED, attempt=1)
        yield told(EventKind.STEP_STARTED, attempt=2)
        yield told(EventKind.CHECKPOINT_CREATED, "x", checkpoint="c2")
        yield told(EventKind.STEP_COMPLETED, "x", exit_code=4)
        yield told(EventKind.CHECKPOINT_CREATED, checkpoint="c2")
        yield told(EventKind.STEP_COMPLETED, exit_code=0, duration_ms=7.5, verdict=None, detail="", findings=2)
        yield told(EventKind.STEP_STARTED, attempt=1)
        yield told(EventKind.CHECKPOINT_CREATED, checkpoint="c5")
        yield told(EventKind.STEP_COMPLETED, exit_code=5)

    latest = StepRecord("e", 1, "b", "command", StepState.FAILED, attempts=7, exit_code=9, stdout_tail=b"late")
    found = outcome_told(latest, point(2, "b"), events())
    assert (found.attempts, found.exit_code, found.duration_ms, found.stdout_tail) == (2, 0, 7.5, b"")


def test_masks_together_hide_what_either_hides() -> None:
    def mask(*paths: bytes) -> Manifest:
        return Manifest(Entry(path, EntryKind.WHITEOUT) for path in paths)

    assert together(None, None) is None
    for one, other in ((mask(b"a"), None), (None, mask(b"a")), (mask(b"a"), mask(b"a")), (mask(b"a"), mask(b"a/b"))):
        found = together(one, other)
        assert found is not None
        assert [entry.path for entry in found] == [b"a"]
    found = together(mask(b"a/b", b"c"), mask(b"a", b"d"))
    assert found is not None
    assert [entry.path for entry in found] == [b"a", b"c", b"d"]
