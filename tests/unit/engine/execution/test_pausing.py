"""Pause and resume of running executions over scripted sandboxes: when it takes effect, what it says, what goes on."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.clock import ManualClock
from engine.errors import ExecutionLockedError, NotFoundError, WrongStateError
from engine.execution.control import PauseMode
from engine.journal.states import ExecutionState
from sandbox.sandbox import SandboxProvider
from sandbox.spec import ExecResult, SandboxSpec
from sandbox.workspace.layer import LayerKey
from tests.fakes.engine_world import Listening, Scripted, SlowEnvironments, World, plan_of, until, world

CREATE = {"id": "new", "type": "file_create", "path": "sub/new.txt", "content": "new\n"}
RETRY = {"attempts": 2, "initial": "10s", "max": "10s", "jitter": "0s"}


def command(step_id: str, run: str = "ok", **more: object) -> dict[str, object]:
    return {"id": step_id, "type": "command", "run": run, **more}


async def in_a_step(here: World, *steps: dict[str, object]) -> tuple[str, Listening]:
    """An execution of CREATE and a step `work`, which prints and goes on until its event is set."""
    listening = Listening(here.engine)
    execution_id = await here.engine.start(plan_of([CREATE, command("work", "work"), *steps]), here.project)
    await listening.output()
    return execution_id, listening


def pauses(here: World, execution_id: str) -> list[tuple[str | None, str]]:
    """Step and mode of each pause so far."""
    events = here.journal.events(execution_id)
    return [(event.step_id, event.data["mode"]) for event in events if event.kind.value == "execution-paused"]


async def test_a_pause_now_is_in_the_journal_at_once_and_the_attempt_goes_on_after_it(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        done = asyncio.Event()
        here.commands["work"] = Scripted(stdout=b"on\n", until=done)
        execution_id, listening = await in_a_step(here)
        record = await here.engine.pause(execution_id, PauseMode.NOW, "lunch")
        assert (record.state, record.reason) == (ExecutionState.PAUSED, "lunch")
        assert here.states(execution_id) == ["succeeded", "running"]
        assert pauses(here, execution_id) == [("work", "now")]
        done.set()
        resumed = await here.engine.resume(execution_id)
        assert resumed.state is ExecutionState.RUNNING
        assert (await here.engine.wait(execution_id)).state is ExecutionState.COMPLETED
        assert here.journal.steps(execution_id)[1].attempts == 1
        kinds = here.kinds(execution_id)
        assert kinds[kinds.index("execution-paused") :][:2] == ["execution-paused", "execution-resumed"]
        del listening


async def test_nothing_of_a_frozen_execution_is_written_down_before_it_is_resumed(tmp_path: Path) -> None:
    """Its command has ended while it was frozen."""
    async with world(tmp_path) as here:
        done = asyncio.Event()
        here.commands["work"] = Scripted(stdout=b"on\n", until=done)
        execution_id, _ = await in_a_step(here)
        await here.engine.pause(execution_id, PauseMode.NOW)
        before = here.kinds(execution_id)
        done.set()
        for _ in range(20):
            await asyncio.to_thread(lambda: None)
        assert here.kinds(execution_id) == before
        await here.engine.cancel(execution_id)


class JustEnding:
    """Sandboxes whose command ends as they are frozen, before the freeze takes effect."""

    def __init__(self, provider: SandboxProvider, end: asyncio.Event) -> None:
        self._provider = provider
        self._end = end

    async def claim(self, spec: SandboxSpec, layer: LayerKey) -> Any:
        sandbox: Any = await self._provider.claim(spec, layer)
        ended, run = asyncio.Event(), sandbox.run

        async def run_and_tell(*given: Any) -> ExecResult:
            try:
                result: ExecResult = await run(*given)
                return result
            finally:
                ended.set()

        async def too_late() -> None:
            self._end.set()
            await ended.wait()

        sandbox.run, sandbox.freeze = run_and_tell, too_late
        return sandbox

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)


async def test_an_attempt_that_ends_as_it_is_frozen_is_written_down_after_the_pause(tmp_path: Path) -> None:
    done = asyncio.Event()
    async with world(tmp_path, provided=lambda provider: JustEnding(provider, done)) as here:
        here.commands["work"] = Scripted(stdout=b"on\n", until=done)
        execution_id, _ = await in_a_step(here)
        assert (await here.engine.pause(execution_id, PauseMode.NOW)).state is ExecutionState.PAUSED
        before = here.kinds(execution_id)
        assert before[-1] == "execution-paused"
        for _ in range(20):
            await asyncio.to_thread(lambda: None)
        assert here.kinds(execution_id) == before
        assert here.states(execution_id) == ["succeeded", "running"]
        await here.engine.resume(execution_id)
        assert (await here.engine.wait(execution_id)).state is ExecutionState.COMPLETED
        assert here.journal.steps(execution_id)[1].attempts == 1


async def test_after_step_lets_the_step_end_and_parks_between_steps(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        done = asyncio.Event()
        here.commands["work"], here.commands["ok"] = Scripted(stdout=b"on\n", until=done), Scripted()
        execution_id, listening = await in_a_step(here, command("last"))
        record = await here.engine.pause(execution_id, PauseMode.AFTER_STEP)
        assert record.state is ExecutionState.RUNNING
        done.set()
        await listening.until("execution-paused")
        assert here.states(execution_id) == ["succeeded", "succeeded", "pending"]
        assert pauses(here, execution_id) == [(None, "after_step")]
        await here.engine.resume(execution_id)
        assert (await here.engine.wait(execution_id)).state is ExecutionState.COMPLETED


async def test_a_pause_of_a_paused_execution_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["work"] = Scripted(stdout=b"on\n", hangs=True)
        execution_id, _ = await in_a_step(here)
        await here.engine.pause(execution_id, PauseMode.NOW, "first")
        for mode in PauseMode:
            record = await here.engine.pause(execution_id, mode, "second")
            assert (record.state, record.reason) == (ExecutionState.PAUSED, "first")
        assert len(pauses(here, execution_id)) == 1


async def test_now_outdoes_an_after_step_that_has_not_taken_effect(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["work"] = Scripted(stdout=b"on\n", hangs=True)
        execution_id, _ = await in_a_step(here)
        await here.engine.pause(execution_id, PauseMode.AFTER_STEP)
        assert (await here.engine.pause(execution_id, PauseMode.NOW)).state is ExecutionState.PAUSED
        assert pauses(here, execution_id) == [("work", "now")]


async def test_a_pause_that_has_not_taken_effect_can_be_taken_back(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        done = asyncio.Event()
        here.commands["work"] = Scripted(stdout=b"on\n", until=done)
        execution_id, _ = await in_a_step(here)
        await here.engine.pause(execution_id, PauseMode.AFTER_STEP)
        await here.engine.resume(execution_id)
        done.set()
        assert (await here.engine.wait(execution_id)).state is ExecutionState.COMPLETED
        assert pauses(here, execution_id) == []


@pytest.mark.parametrize("mode", list(PauseMode))
async def test_a_pause_in_a_retry_wait_takes_effect_at_once_and_the_wait_goes_on(
    tmp_path: Path, mode: PauseMode
) -> None:
    clock = ManualClock()
    async with world(tmp_path, clock=clock) as here:
        here.commands["bad"] = Scripted(exit_code=1)
        listening = Listening(here.engine)
        execution_id = await here.engine.start(plan_of([command("b", "bad", retry=RETRY)]), here.project)
        await listening.until("step-retrying")
        await until(lambda: bool(clock.slept))
        assert (await here.engine.pause(execution_id, mode)).state is ExecutionState.PAUSED
        assert pauses(here, execution_id) == [("b", mode.value)]
        clock.advance(timedelta(hours=1))
        await here.engine.resume(execution_id)
        await until(lambda: len(clock.slept) == 2)
        assert clock.slept[1] == timedelta(seconds=10)
        assert here.journal.steps(execution_id)[0].attempts == 1
        clock.advance(timedelta(seconds=10))
        await here.engine.wait(execution_id)
        assert here.journal.steps(execution_id)[0].attempts == 2


async def test_paused_time_is_not_counted(tmp_path: Path) -> None:
    clock = ManualClock()
    async with world(tmp_path, clock=clock) as here:
        done = asyncio.Event()
        here.commands["work"] = Scripted(stdout=b"on\n", until=done)
        execution_id, _ = await in_a_step(here)
        clock.advance(timedelta(seconds=2))
        await here.engine.pause(execution_id, PauseMode.NOW)
        clock.advance(timedelta(hours=1))
        assert (await here.engine.get_progress(execution_id)).elapsed_ms == 2000
        await here.engine.resume(execution_id)
        clock.advance(timedelta(seconds=3))
        assert (await here.engine.get_progress(execution_id)).elapsed_ms == 5000
        done.set()
        assert (await here.engine.wait(execution_id)).run_ms == 5000


@pytest.mark.parametrize("mode", list(PauseMode))
async def test_a_pause_during_the_set_up_takes_effect_at_its_end(tmp_path: Path, mode: PauseMode) -> None:
    slow = SlowEnvironments()
    async with world(tmp_path, environments=slow) as here:
        here.commands["ok"] = Scripted()
        listening = Listening(here.engine)
        plan = plan_of([command("a")], environment={"setup": ["true"]})
        execution_id = await here.engine.start(plan, here.project)
        await asyncio.wait_for(slow.begun.wait(), 30)
        assert (await here.engine.pause(execution_id, mode)).state is ExecutionState.RUNNING
        slow.done.set()
        await listening.until("execution-paused")
        assert here.states(execution_id) == ["pending"]
        await here.engine.resume(execution_id)
        assert (await here.engine.wait(execution_id)).state is ExecutionState.COMPLETED


async def test_a_pause_is_refused_where_nothing_can_go_on(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        record = await here.engine.execute_plan(plan_of([CREATE]), here.project)
        with pytest.raises(WrongStateError):
            await here.engine.pause(record.id)
        with pytest.raises(NotFoundError):
            await here.engine.pause("0" * 32)


async def test_verbs_on_another_process_execution_name_that_process(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["work"] = Scripted(stdout=b"on\n", hangs=True)
        execution_id, _ = await in_a_step(here)
        run = here.engine._supervisor._runs.pop(execution_id)  # what this process does not drive, another one does
        for verb in (here.engine.pause, here.engine.cancel):
            with pytest.raises(ExecutionLockedError) as error:
                await verb(execution_id)
            assert error.value.owner > 0
        here.engine._supervisor._runs[execution_id] = run


# -- rollback ------------------------------------------------------------------------------------------------------


async def test_rollback_of_a_frozen_execution_gives_the_attempt_up(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["work"] = Scripted(stdout=b"on\n", effect=lambda tree: (tree / "w").write_text("w"), hangs=True)
        execution_id, _ = await in_a_step(here)
        await here.engine.pause(execution_id, PauseMode.NOW)
        target = await here.engine.rollback(execution_id, "start")
        assert target.id == "c0"
        assert here.states(execution_id) == ["rolled_back", "pending"]
        assert here.layers(execution_id) == 1
        assert here.journal.execution(execution_id).state is ExecutionState.PAUSED
        here.commands["work"] = Scripted(effect=lambda tree: (tree / "w").write_text("again"))
        await here.engine.resume(execution_id)
        assert (await here.engine.wait(execution_id)).state is ExecutionState.COMPLETED
        assert here.content(execution_id, "w") == b"again"
        assert here.content(execution_id, "sub/new.txt") == b"new\n"


async def test_rollback_in_a_retry_wait_gives_the_step_up(tmp_path: Path) -> None:
    clock = ManualClock()
    async with world(tmp_path, clock=clock) as here:
        here.commands["bad"] = Scripted(exit_code=1)
        listening = Listening(here.engine)
        execution_id = await here.engine.start(plan_of([CREATE, command("b", "bad", retry=RETRY)]), here.project)
        await listening.until("step-retrying")
        await here.engine.pause(execution_id, PauseMode.AFTER_STEP)
        await listening.until("execution-paused")
        await here.engine.rollback(execution_id)
        assert here.states(execution_id) == ["rolled_back", "pending"]
        here.commands["bad"] = Scripted()
        await here.engine.resume(execution_id)
        assert (await here.engine.wait(execution_id)).state is ExecutionState.COMPLETED
        assert here.kinds(execution_id).count("step-started") == 4


async def test_a_rollback_to_nowhere_leaves_the_frozen_attempt_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        done = asyncio.Event()
        here.commands["work"] = Scripted(stdout=b"on\n", until=done)
        execution_id, _ = await in_a_step(here)
        await here.engine.pause(execution_id, PauseMode.NOW)
        with pytest.raises(NotFoundError):
            await here.engine.rollback(execution_id, "nowhere")
        assert here.states(execution_id) == ["succeeded", "running"]
        done.set()
        await here.engine.resume(execution_id)
        assert (await here.engine.wait(execution_id)).state is ExecutionState.COMPLETED
        assert here.journal.steps(execution_id)[1].attempts == 1


async def test_rollback_of_a_running_execution_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["work"] = Scripted(stdout=b"on\n", hangs=True)
        execution_id, _ = await in_a_step(here)
        with pytest.raises(WrongStateError) as error:
            await here.engine.rollback(execution_id)
        assert error.value.state == "running"
