"""Pause and cancel reach the sandbox that runs, and the one that is about to."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from engine.clock import ManualClock
from engine.execution.control import PauseMode, RunControl
from sandbox.sandbox import OutputSink
from sandbox.spec import ExecRequest, ExecResult


class FakeSandbox:
    container_id = "fake"

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def run(self, request: ExecRequest, on_output: OutputSink | None = None) -> ExecResult:
        raise AssertionError("never run here")

    async def freeze(self) -> None:
        self.calls.append("freeze")

    async def thaw(self) -> None:
        self.calls.append("thaw")

    async def kill(self) -> None:
        self.calls.append("kill")

    async def close(self) -> None:
        self.calls.append("close")


async def test_cancel_kills_what_runs_and_refuses_what_comes() -> None:
    control, running, later = RunControl(), FakeSandbox(), FakeSandbox()
    assert await control.admit(running)
    await control.cancel("enough")
    assert running.calls == ["kill"]
    assert not await control.admit(later)
    assert control.cancel_reason == "enough"


async def test_pause_now_freezes_and_resume_thaws() -> None:
    control, sandbox = RunControl(), FakeSandbox()
    await control.admit(sandbox)
    await control.pause(PauseMode.NOW, "")
    await control.resume()
    assert sandbox.calls == ["freeze", "thaw"]


async def test_pause_after_step_leaves_the_sandbox_alone() -> None:
    control, sandbox = RunControl(), FakeSandbox()
    await control.admit(sandbox)
    await control.pause(PauseMode.AFTER_STEP, "")
    assert control.pause_wanted
    assert sandbox.calls == []


async def test_a_sandbox_claimed_while_frozen_starts_only_after_the_thaw() -> None:
    control = RunControl()
    await control.pause(PauseMode.NOW, "")
    admitting = asyncio.create_task(control.admit(FakeSandbox()))
    await asyncio.sleep(0)
    assert not admitting.done()
    await control.resume()
    assert await admitting


async def test_a_cancel_ends_a_sleep_early() -> None:
    control = RunControl()
    sleeping = asyncio.create_task(control.sleep(ManualClock(), timedelta(hours=1)))
    await asyncio.sleep(0)
    await control.cancel("now")
    await asyncio.wait_for(sleeping, 1)
