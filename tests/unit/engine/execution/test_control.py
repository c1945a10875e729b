"""Pause and cancel reach the sandbox that runs, and the one that is about to; holds hold what they should."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from engine.clock import ManualClock
from engine.execution.control import PauseMode, Rest, RunControl, StoppedError
from sandbox.errors import SandboxUnavailableError
from sandbox.sandbox import OutputSink
from sandbox.spec import ExecRequest, ExecResult, ResourceUsage


class FakeSandbox:
    container_id = "fake"

    def __init__(self, unfreezable: bool = False) -> None:
        self.calls: list[str] = []
        self._unfreezable = unfreezable

    async def run(self, request: ExecRequest, on_output: OutputSink | None = None) -> ExecResult:
        raise AssertionError("never run here")

    def usage(self) -> ResourceUsage:
        return ResourceUsage()

    async def freeze(self) -> None:
        if self._unfreezable:
            raise SandboxUnavailableError("the engine is away")
        self.calls.append("freeze")

    async def thaw(self) -> None:
        self.calls.append("thaw")

    async def kill(self) -> None:
        self.calls.append("kill")

    async def close(self) -> None:
        self.calls.append("close")


async def a_moment() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_cancel_kills_what_runs_and_refuses_what_comes() -> None:
    control, running = RunControl(), FakeSandbox()
    control.admit(running)
    await control.cancel("enough")
    assert running.calls == ["kill"]
    with pytest.raises(StoppedError):
        control.admit(FakeSandbox())
    assert control.cancel_reason == "enough"


async def test_a_freeze_reaches_what_runs_and_going_on_thaws_it() -> None:
    control, sandbox = RunControl(), FakeSandbox()
    control.admit(sandbox)
    control.hold(PauseMode.NOW, "")
    await control.freeze()
    await control.proceed()
    assert sandbox.calls == ["freeze", "thaw"]


async def test_what_cannot_be_frozen_goes_on_with_all_the_rest() -> None:
    control, frozen, stuck = RunControl(), FakeSandbox(), FakeSandbox(unfreezable=True)
    control.admit(frozen)
    control.admit(stuck)
    control.hold(PauseMode.NOW, "")
    with pytest.raises(SandboxUnavailableError):
        await control.freeze()
    assert frozen.calls == ["freeze", "thaw"]
    assert control.wish is None


async def test_now_outdoes_after_step_and_is_never_weakened() -> None:
    control = RunControl()
    for asked, then in ((PauseMode.AFTER_STEP,) * 2, (PauseMode.NOW,) * 2, (PauseMode.AFTER_STEP, PauseMode.NOW)):
        control.hold(asked, "")
        assert control.wish is then


@pytest.mark.parametrize(
    ("mode", "between_attempts", "between_steps", "held"),
    [
        (PauseMode.NOW, False, False, True),
        (PauseMode.NOW, True, False, True),
        (PauseMode.NOW, False, True, True),
        (PauseMode.AFTER_STEP, False, False, False),
        (PauseMode.AFTER_STEP, True, False, True),
        (PauseMode.AFTER_STEP, False, True, True),
    ],
)
async def test_a_pause_holds_where_its_mode_says(
    mode: PauseMode, between_attempts: bool, between_steps: bool, held: bool
) -> None:
    control = RunControl()
    control.hold(mode, "")
    coming = asyncio.create_task(control.come_by(between_attempts=between_attempts, between_steps=between_steps))
    await a_moment()
    assert coming.done() is not held
    assert control.parked.is_set() is (held and between_steps)
    await control.proceed()
    await asyncio.wait_for(coming, 5)
    assert not control.parked.is_set()


async def test_whoever_writes_the_pause_down_is_called_before_the_driver_waits() -> None:
    control, called = RunControl(), asyncio.Event()

    async def on_hold() -> None:
        called.set()

    control.on_hold = on_hold
    await control.come_by(between_steps=True)
    assert not called.is_set()
    control.hold(PauseMode.NOW, "")
    coming = asyncio.create_task(control.come_by())
    await asyncio.wait_for(called.wait(), 5)
    assert control.holds(PauseMode.AFTER_STEP)
    await control.proceed()
    await coming


@pytest.mark.parametrize("rest", list(Rest))
def test_only_what_waits_can_be_held_as_it_stands(rest: Rest) -> None:
    control = RunControl()
    with control.resting(rest):
        assert control.holds(PauseMode.NOW) is (rest is not Rest.NO)
        assert control.holds(PauseMode.AFTER_STEP) is (rest is Rest.ANY)
    assert not control.holds(PauseMode.NOW)


async def test_a_stopped_attempt_goes_through_holds_but_its_execution_waits_between_steps() -> None:
    control = RunControl()
    control.hold(PauseMode.NOW, "")
    within = asyncio.create_task(control.come_by())
    await a_moment()
    await control.stop_attempt()
    await asyncio.wait_for(within, 5)
    control.begin_step()
    between = asyncio.create_task(control.come_by(between_steps=True))
    await a_moment()
    assert control.parked.is_set()
    await control.cancel("")
    await asyncio.wait_for(between, 5)


async def test_work_is_given_up_at_a_stop_and_its_late_result_discarded() -> None:
    control, discarded, release = RunControl(), asyncio.Event(), asyncio.Event()

    async def hang() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    async def discard(result: str) -> None:
        assert result == "late"
        discarded.set()

    working = asyncio.create_task(control.unless_stopped(hang(), discard))
    await a_moment()
    await control.cancel("")
    with pytest.raises(StoppedError):
        await asyncio.wait_for(working, 5)
    assert not discarded.is_set()
    release.set()
    await asyncio.wait_for(discarded.wait(), 5)


async def test_work_that_ends_before_a_stop_has_its_result_and_its_error() -> None:
    control = RunControl()

    async def fail() -> None:
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        await control.unless_stopped(fail())


async def test_a_cancel_ends_a_sleep_early() -> None:
    control = RunControl()
    sleeping = asyncio.create_task(control.sleep(ManualClock(), timedelta(hours=1)))
    await a_moment()
    await control.cancel("now")
    await asyncio.wait_for(sleeping, 5)


@pytest.mark.parametrize("mode", list(PauseMode))
async def test_paused_time_is_no_part_of_a_sleep(mode: PauseMode) -> None:
    control, clock = RunControl(), ManualClock()
    sleeping = asyncio.create_task(control.sleep(clock, timedelta(seconds=10)))
    await a_moment()
    clock.advance(timedelta(seconds=4))
    control.hold(mode, "")
    await a_moment()
    clock.advance(timedelta(hours=1))
    await control.proceed()
    await a_moment()
    clock.advance(timedelta(seconds=5))
    await a_moment()
    assert not sleeping.done()
    clock.advance(timedelta(seconds=1))
    await asyncio.wait_for(sleeping, 5)
