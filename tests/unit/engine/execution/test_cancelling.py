"""Cancel, whatever an execution is doing: one final event, the step pending, no layer left of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.clock import ManualClock
from engine.errors import WrongStateError
from engine.execution.control import PauseMode
from engine.journal.states import ExecutionState
from sandbox.sandbox import SandboxProvider
from sandbox.spec import SandboxSpec
from sandbox.workspace.layer import LayerKey
from tests.fakes.engine_world import Listening, Scripted, SlowEnvironments, World, plan_of, until, world

CREATE = {"id": "new", "type": "file_create", "path": "sub/new.txt", "content": "new\n"}
RETRY = {"attempts": 2, "initial": "10s", "max": "10s", "jitter": "0s"}


def command(step_id: str, run: str = "ok", **more: object) -> dict[str, object]:
    return {"id": step_id, "type": "command", "run": run, **more}


async def cancelled(here: World, execution_id: str, layers: int = 1) -> None:
    """Cancel it and see that all is as it should be afterwards: `layers` are left, of the steps that had ended."""
    record = await asyncio.wait_for(here.engine.cancel(execution_id, "enough"), 30)
    assert (record.state, record.reason) == (ExecutionState.CANCELLED, "enough")
    kinds = here.kinds(execution_id)
    assert kinds.count("execution-cancelled") == 1
    assert kinds[-1] == "execution-cancelled"
    assert "running" not in here.states(execution_id)
    assert here.layers(execution_id) == layers
    assert execution_id not in here.queue.running
    assert await here.engine.cancel(execution_id) == record


@pytest.mark.parametrize("pause", [None, *PauseMode])
async def test_during_a_step_whatever_pause_is_wished_for(tmp_path: Path, pause: PauseMode | None) -> None:
    async with world(tmp_path) as here:
        here.commands["work"] = Scripted(stdout=b"on\n", effect=lambda tree: (tree / "w").write_text("w"), hangs=True)
        listening = Listening(here.engine)
        execution_id = await here.engine.start(plan_of([CREATE, command("work", "work")]), here.project)
        await listening.output()
        if pause is not None:
            await here.engine.pause(execution_id, pause)
        await cancelled(here, execution_id)


async def test_while_it_is_parked_between_steps(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        done = asyncio.Event()
        here.commands["work"] = Scripted(stdout=b"on\n", until=done)
        listening = Listening(here.engine)
        execution_id = await here.engine.start(plan_of([CREATE, command("work", "work"), command("x")]), here.project)
        await listening.output()
        await here.engine.pause(execution_id, PauseMode.AFTER_STEP)
        done.set()
        await listening.until("execution-paused")
        await cancelled(here, execution_id)
        assert here.states(execution_id) == ["succeeded", "succeeded", "pending"]


@pytest.mark.parametrize("paused", [False, True])
async def test_in_a_retry_wait_no_other_attempt_is_begun(tmp_path: Path, paused: bool) -> None:
    clock = ManualClock()
    async with world(tmp_path, clock=clock) as here:
        here.commands["bad"] = Scripted(exit_code=1)
        listening = Listening(here.engine)
        execution_id = await here.engine.start(plan_of([CREATE, command("b", "bad", retry=RETRY)]), here.project)
        await listening.until("step-retrying")
        await until(lambda: bool(clock.slept))
        if paused:
            await here.engine.pause(execution_id)
        await cancelled(here, execution_id)
        assert here.kinds(execution_id).count("step-started") == 2
        assert here.states(execution_id) == ["succeeded", "pending"]


class HangingProvider:
    """Claims that never come back from the engine; everything else is the scripted provider's."""

    def __init__(self, provider: SandboxProvider) -> None:
        self._provider = provider
        self.claiming = asyncio.Event()

    async def claim(self, spec: SandboxSpec, layer: LayerKey) -> Any:
        del spec, layer
        self.claiming.set()
        await asyncio.Event().wait()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)


@pytest.mark.parametrize("paused", [False, True])
async def test_while_a_container_is_started(tmp_path: Path, paused: bool) -> None:
    hanging: list[HangingProvider] = []

    def provided(provider: SandboxProvider) -> SandboxProvider:
        hanging.append(HangingProvider(provider))
        return hanging[0]

    async with world(tmp_path, provided=provided) as here:
        execution_id = await here.engine.start(plan_of([CREATE, command("work")]), here.project)
        await asyncio.wait_for(hanging[0].claiming.wait(), 30)
        if paused:
            assert (await here.engine.pause(execution_id, PauseMode.NOW)).state is ExecutionState.PAUSED
        await cancelled(here, execution_id)


@pytest.mark.parametrize("stubborn", [False, True])
async def test_while_the_environment_is_set_up_also_when_its_end_takes_long(tmp_path: Path, stubborn: bool) -> None:
    slow = SlowEnvironments(stubborn)
    async with world(tmp_path, environments=slow) as here:
        plan = plan_of([command("a")], environment={"setup": ["true"]})
        execution_id = await here.engine.start(plan, here.project)
        await asyncio.wait_for(slow.begun.wait(), 30)
        await cancelled(here, execution_id, layers=0)
        assert slow.cancelled.is_set()
        slow.done.set()


async def test_during_a_check_of_what_a_step_left_the_layer_goes_too(tmp_path: Path) -> None:
    def script(request: object) -> Scripted:
        checking = getattr(request, "command", None) != "work"
        return Scripted(hangs=checking, effect=None if checking else lambda tree: (tree / "w.py").write_text("w\n"))

    async with world(tmp_path, script) as here:
        plan = plan_of([CREATE, command("work", "work", checks=["syntax"])])
        execution_id = await here.engine.start(plan, here.project)
        await until(lambda: any(sandbox.usage for sandbox in _running(here, execution_id)) and _checks(here))
        await cancelled(here, execution_id)
        assert here.states(execution_id) == ["succeeded", "pending"]


def _running(here: World, execution_id: str) -> tuple[Any, ...]:
    run = here.engine._supervisor.find(execution_id)
    return run.control.sandboxes if run is not None else ()


def _checks(here: World) -> bool:
    """The second sandbox runs: the one of the check."""
    return len(here.provider._sandboxes) == 2


async def test_in_the_queue_it_never_starts(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1) as here:
        here.commands["work"] = Scripted(stdout=b"on\n", hangs=True)
        first = await here.engine.start(plan_of([command("work", "work")]), here.project)
        second = await here.engine.start(plan_of([command("work", "work")]), here.project)
        await cancelled(here, second, layers=0)
        assert here.kinds(second) == ["execution-queued", "execution-cancelled"]
        assert second not in [str(volume) for volume in here.store.volumes()]
        await here.engine.cancel(first)


async def test_a_completed_execution_cannot_be_cancelled(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        record = await here.engine.execute_plan(plan_of([CREATE]), here.project)
        with pytest.raises(WrongStateError) as error:
            await here.engine.cancel(record.id)
        assert error.value.state == "completed"


async def test_a_cancel_during_a_rollback_of_a_frozen_step_is_not_held_up(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["work"] = Scripted(stdout=b"on\n", hangs=True)
        listening = Listening(here.engine)
        execution_id = await here.engine.start(plan_of([CREATE, command("work", "work")]), here.project)
        await listening.output()
        await here.engine.pause(execution_id, PauseMode.NOW)
        run = here.engine._supervisor.find(execution_id)
        assert run is not None
        rolling_back = asyncio.create_task(here.engine.rollback(execution_id, "start"))
        await until(lambda: run.control.stopping)
        await cancelled(here, execution_id)
        with pytest.raises(WrongStateError):
            await rolling_back


async def test_a_rollback_is_not_held_up_by_a_driver_that_comes_to_a_hold(tmp_path: Path) -> None:
    """The claim of its sandbox ends while the rollback waits for it."""
    late: list[LateProvider] = []

    def provided(provider: SandboxProvider) -> SandboxProvider:
        late.append(LateProvider(provider))
        return late[0]

    async with world(tmp_path, provided=provided) as here:
        here.commands["work"] = Scripted()
        execution_id = await here.engine.start(plan_of([CREATE, command("work", "work")]), here.project)
        await asyncio.wait_for(late[0].claiming.wait(), 30)
        assert (await here.engine.pause(execution_id, PauseMode.NOW)).state is ExecutionState.PAUSED
        run = here.engine._supervisor.find(execution_id)
        assert run is not None
        async with run.verbs:
            late[0].answer.set()
            await until(lambda: bool(run.control.sandboxes))
            await asyncio.wait_for(here.engine._pauses.stand_still(run), 30)
        assert run.control.parked.is_set()
        await cancelled(here, execution_id)


class LateProvider(HangingProvider):
    """Claims that come back when they are told to."""

    def __init__(self, provider: SandboxProvider) -> None:
        super().__init__(provider)
        self.answer = asyncio.Event()

    async def claim(self, spec: SandboxSpec, layer: LayerKey) -> Any:
        self.claiming.set()
        await self.answer.wait()
        return await self._provider.claim(spec, layer)


async def test_cancel_and_pause_at_once_end_it_once(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["work"] = Scripted(stdout=b"on\n", hangs=True)
        listening = Listening(here.engine)
        execution_id = await here.engine.start(plan_of([CREATE, command("work", "work")]), here.project)
        await listening.output()
        verbs = [here.engine.pause(execution_id, PauseMode.NOW), here.engine.cancel(execution_id, "enough")]
        await asyncio.gather(*verbs, return_exceptions=True)
        await cancelled(here, execution_id)
