"""Pause, cancel, rollback, queue and progress with real containers: what the machine shows when a verb has returned."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.app import Application, open_application
from engine.config import EngineConfig
from engine.execution.control import PauseMode
from engine.execution.engine import CloseMode
from engine.journal.states import ExecutionState
from sandbox.docker.environment import EnvironmentBuilder
from tests.fakes.engine_world import Aside, Listening, plan_of
from tests.fakes.slow_engine import slow_engine
from tests.leftovers import ask_engine

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(300)]

SECOND = 1.0
BUSY = 5.0
"""How much longer than on a quiet machine a verb may take where others work; far below every limit of a call."""

CREATE = {"id": "new", "type": "file_create", "path": "new.txt", "content": "new\n"}
TICKING = "echo on; echo x > w; i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i; sleep 0.02; done"
SETTINGS: dict[str, Any] = {"sandbox": {"disk": "32MiB", "memory": "128MiB", "timeout": "60s"}}


def command(step_id: str, run: str, **more: object) -> dict[str, object]:
    return {"id": step_id, "type": "command", "run": run, **more}


@asynccontextmanager
async def application(home: Path, **bounds: int) -> AsyncIterator[Application]:
    async with open_application(engine=True, config=EngineConfig(home=home, **bounds)) as opened:
        yield opened


@pytest.fixture
def project(disk_tmp: Path) -> Path:
    made = disk_tmp / "project"
    made.mkdir()
    (made / "kept.txt").write_text("kept\n")
    return made


@contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    # Shown by `pytest -s`.
    sys.stdout.write(f"\n{what}: {took * 1e3:.0f} ms\n")
    assert took < seconds * BUSY, what


class Watched:
    """A hold on a process, whatever becomes of its number."""

    def __init__(self, pid: int) -> None:
        self._fd = os.pidfd_open(pid)

    @property
    def dead(self) -> bool:
        return bool(select.select([self._fd], [], [], 0)[0])

    def close(self) -> None:
        os.close(self._fd)


def sandbox_of(app: Application, execution_id: str) -> tuple[str, Watched]:
    """The container that runs now, and a hold on its first process."""
    run = app.engine._supervisor.find(execution_id)
    assert run is not None
    (sandbox,) = run.control.sandboxes
    facts = ask_engine(f"/containers/{sandbox.container_id}/json")
    return sandbox.container_id, Watched(facts["State"]["Pid"])


def layers(app: Application, execution_id: str) -> list[str]:
    return [layer.id for layer in app.store.walk() if layer.volume == execution_id]


async def ticking(app: Application, project: Path, **header: Any) -> tuple[str, Listening]:
    """An execution in its second step, which prints a number every 20 ms."""
    plan = plan_of([CREATE, command("tick", TICKING), command("last", "cat new.txt")], **SETTINGS, **header)
    listening = Listening(app.engine)
    execution_id = await app.engine.start(plan, project)
    await listening.output()
    return execution_id, listening


async def cancelled(app: Application, execution_id: str, step: int, layers_left: int = 1) -> None:
    """Cancel it: when the verb returns, everything is as it should be."""
    with within(SECOND, "cancel"):
        record = await app.engine.cancel(execution_id)
    assert record.state is ExecutionState.CANCELLED
    journal: Any = Aside(app.journal)
    kinds = [event.kind.value for event in journal.events(execution_id)]
    assert [kind for kind in kinds if kind == "execution-cancelled"] == kinds[-1:]
    assert journal.steps(execution_id)[step].state.value == "pending"
    assert len(await asyncio.to_thread(layers, app, execution_id)) == layers_left


async def test_a_frozen_step_uses_nothing_prints_nothing_and_goes_on_where_it_stood(
    sandstone_home: Path, project: Path
) -> None:
    async with application(sandstone_home) as app:
        execution_id, listening = await ticking(app, project)
        container, init = await asyncio.to_thread(sandbox_of, app, execution_id)
        with within(0.1, "pause now"):
            record = await app.engine.pause(execution_id, PauseMode.NOW)
        assert record.state is ExecutionState.PAUSED
        facts = await asyncio.to_thread(ask_engine, f"/containers/{container}/json")
        assert facts["State"]["Paused"]
        event = await listening.until("execution-paused")
        assert (event.step_id, event.data["mode"]) == ("tick", "now")
        before = await app.engine.get_progress(execution_id)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await listening.output()
        after = await app.engine.get_progress(execution_id)
        assert after.usage == before.usage
        assert after.elapsed_ms == before.elapsed_ms
        await app.engine.resume(execution_id)
        await listening.output()
        assert not init.dead
        init.close()
        await cancelled(app, execution_id, 1)


async def test_a_resumed_step_ends_in_its_first_attempt(sandstone_home: Path, project: Path) -> None:
    async with application(sandstone_home) as app:
        listening = Listening(app.engine)
        plan = plan_of([command("work", "echo on; sleep 0.5; echo off")], **SETTINGS)
        execution_id = await app.engine.start(plan, project)
        await listening.output()
        await app.engine.pause(execution_id, PauseMode.NOW)
        await app.engine.resume(execution_id)
        assert (await app.engine.wait(execution_id)).state is ExecutionState.COMPLETED
        (step,) = await app.blocking(app.journal.steps, execution_id)
        assert (step.attempts, step.stdout_tail) == (1, b"on\noff\n")


@pytest.mark.parametrize("mode", [None, *PauseMode])
async def test_cancel_of_a_running_or_frozen_step_leaves_it_dead(
    sandstone_home: Path, project: Path, mode: PauseMode | None
) -> None:
    async with application(sandstone_home) as app:
        execution_id, _ = await ticking(app, project)
        _, init = await asyncio.to_thread(sandbox_of, app, execution_id)
        if mode is not None:
            await app.engine.pause(execution_id, mode)
        await cancelled(app, execution_id, 1)
        assert init.dead
        init.close()


async def test_cancel_during_a_check_leaves_neither_check_nor_layer(sandstone_home: Path, project: Path) -> None:
    async with application(sandstone_home) as app:
        many = "for i in $(seq 500); do head -c 20000 /dev/zero | tr '\\0' 'x' > f$i.py; done"
        plan = plan_of([CREATE, command("work", many, checks=["syntax", "lint", "type"])], **SETTINGS)
        listening = Listening(app.engine)
        execution_id = await app.engine.start(plan, project)
        await listening.until("step-started", "work")
        run = app.engine._supervisor.find(execution_id)
        assert run is not None
        seen: set[str] = set()
        async with asyncio.timeout(60):
            while len(seen) < 2:
                seen |= {sandbox.container_id for sandbox in run.control.sandboxes}
                await asyncio.sleep(0.002)
        (_, init) = await asyncio.to_thread(sandbox_of, app, execution_id)
        await cancelled(app, execution_id, 1)
        assert init.dead
        init.close()


async def test_cancel_in_a_retry_wait(sandstone_home: Path, project: Path) -> None:
    async with application(sandstone_home) as app:
        listening = Listening(app.engine)
        retry = {"attempts": 2, "initial": "60s", "max": "60s"}
        plan = plan_of([CREATE, command("bad", "echo x > w; exit 1", retry=retry)], **SETTINGS)
        execution_id = await app.engine.start(plan, project)
        await listening.until("step-retrying")
        await cancelled(app, execution_id, 1)


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set-ups whose commands need none; what else is on the machine is not their business."""
    made = EnvironmentBuilder._create_config

    def config(self: EnvironmentBuilder, image_id: str) -> dict[str, Any]:
        asked = made(self, image_id)
        return {**asked, "HostConfig": {**asked["HostConfig"], "NetworkMode": "none"}}

    monkeypatch.setattr(EnvironmentBuilder, "_create_config", config)


@pytest.mark.usefixtures("without_network")
async def test_cancel_while_the_environment_is_set_up_kills_its_container(sandstone_home: Path, project: Path) -> None:
    async with application(sandstone_home) as app:
        plan = plan_of([CREATE], environment={"setup": [f"echo {time.time_ns()}; sleep 600"]}, **SETTINGS)
        execution_id = await app.engine.start(plan, project)
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(set_ups, app):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.02)
        await cancelled(app, execution_id, 0, layers_left=0)
        assert await asyncio.to_thread(set_ups, app) == []


async def test_cancel_while_the_engine_does_not_answer_a_set_up(
    sandstone_home: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = sandstone_home / "engine.sock"
    async with slow_engine(socket, r"POST /v[0-9.]+/containers/create\?name=sandstone-setup") as engine:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
        async with application(sandstone_home) as app:
            plan = plan_of([CREATE], environment={"setup": [f"echo {time.time_ns()}"]}, **SETTINGS)
            execution_id = await app.engine.start(plan, project)
            await asyncio.wait_for(engine.holding.wait(), 60)
            await cancelled(app, execution_id, 0, layers_left=0)
            engine.release()
        rows = await asyncio.to_thread(ask_engine, "/containers/json?all=1")
        assert [row for row in rows if row["Labels"].get("sandstone") == app.store_id] == []


def set_ups(app: Application) -> list[str]:
    """Running set-up containers of this store."""
    rows = ask_engine("/containers/json")
    ours = [row for row in rows if row["Labels"].get("sandstone") == app.store_id]
    return [row["Id"] for row in ours if row["Labels"].get("sandstone.role") == "setup"]


@pytest.mark.parametrize("call", ["create", "[0-9a-f]{64}/start"])
async def test_cancel_while_the_engine_does_not_answer_a_cold_start(
    sandstone_home: Path, project: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    socket = sandstone_home / "engine.sock"
    async with slow_engine(socket, rf"POST /v[0-9.]+/containers/{call}[? ]") as engine:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
        async with application(sandstone_home) as app:
            plan = plan_of([CREATE, command("work", "echo on")], **SETTINGS)
            listening = Listening(app.engine)
            execution_id = await app.engine.start(plan, project)
            await listening.until("step-started", "work")
            await asyncio.wait_for(engine.holding.wait(), 60)
            await cancelled(app, execution_id, 1)
            engine.release()
        rows = await asyncio.to_thread(ask_engine, "/containers/json?all=1")
        assert [row for row in rows if row["Labels"].get("sandstone") == app.store_id] == []


async def test_rollback_of_a_frozen_step_kills_it_and_resume_makes_it_again(
    sandstone_home: Path, project: Path
) -> None:
    async with application(sandstone_home) as app:
        execution_id, listening = await ticking(app, project)
        _, init = await asyncio.to_thread(sandbox_of, app, execution_id)
        await app.engine.pause(execution_id, PauseMode.NOW)
        with within(SECOND, "rollback"):
            target = await app.engine.rollback(execution_id, "start")
        assert (target.id, init.dead) == ("c0", True)
        init.close()
        states = [step.state.value for step in await app.blocking(app.journal.steps, execution_id)]
        assert states == ["rolled_back", "pending", "pending"]
        assert len(await asyncio.to_thread(layers, app, execution_id)) == 1
        await app.engine.resume(execution_id)
        await listening.until("step-completed", "new")
        await listening.output()
        await cancelled(app, execution_id, 1, layers_left=2)


async def test_two_run_five_wait_and_each_has_its_own_view(sandstone_home: Path, project: Path) -> None:
    async with application(sandstone_home, max_running=2) as app:
        most = 0
        plans = [plan_of([command("w", f"ls; echo {n} > n; sleep 0.2")], **SETTINGS) for n in range(7)]
        started = [await app.engine.start(plan, project) for plan in plans]
        waits = [await app.engine.get_progress(execution_id) for execution_id in started]
        assert [progress.position for progress in waits[-2:]] == [4, 5]
        assert len(await asyncio.to_thread(app.store.volumes)) < len(started)
        ending = asyncio.gather(*(app.engine.wait(execution_id) for execution_id in started))
        while not ending.done():
            runs = [app.engine._supervisor.find(execution_id) for execution_id in started]
            most = max(most, sum(len(run.control.sandboxes) for run in runs if run is not None))
            await asyncio.sleep(0.005)
        assert {record.state for record in await ending} == {ExecutionState.COMPLETED}
        assert most == 2
        for execution_id in started:
            (step,) = await app.blocking(app.journal.steps, execution_id)
            assert step.stdout_tail == b"kept.txt\n"


async def test_progress_tells_what_the_running_step_uses_and_the_step_what_it_used(
    sandstone_home: Path, project: Path
) -> None:
    async with application(sandstone_home) as app:
        work = "head -c 3M /dev/urandom > big; i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; echo on; sleep 600"
        plan = plan_of([command("first", "echo 12345"), command("work", work)], **SETTINGS)
        listening = Listening(app.engine)
        execution_id = await app.engine.start(plan, project)
        await listening.until("step-started", "work")
        await listening.output()
        progress = await app.engine.get_progress(execution_id)
        assert (progress.done, progress.step_id, progress.output_bytes) == (1, "work", 6 + 3)
        assert progress.usage is not None
        assert progress.usage.cpu_ms is not None
        assert progress.usage.cpu_ms > 10
        assert progress.usage.memory_peak_bytes is not None
        assert progress.usage.memory_peak_bytes > 100_000
        assert progress.usage.disk_bytes is not None
        assert 3 << 20 <= progress.usage.disk_bytes < 4 << 20
        await app.engine.cancel(execution_id)
        plan = plan_of([command("work", "head -c 3M /dev/urandom > big")], **SETTINGS)
        record = await app.engine.execute_plan(plan, project)
        (step,) = await app.blocking(app.journal.steps, record.id)
        assert 3 << 20 <= step.usage["disk_bytes"] < 4 << 20
        assert step.usage["cpu_ms"] > 0


async def test_a_stopping_engine_leaves_a_running_step_for_the_next(sandstone_home: Path, project: Path) -> None:
    async with application(sandstone_home) as app:
        execution_id, _ = await ticking(app, project)
        _, init = await asyncio.to_thread(sandbox_of, app, execution_id)
        await app.engine.close("the controller is stopping", CloseMode.PAUSE)
        assert init.dead
        init.close()
        record = await app.blocking(app.journal.execution, execution_id)
        assert (record.state, record.reason) == (ExecutionState.PAUSED, "the controller is stopping")
    async with application(sandstone_home) as app:
        listening = Listening(app.engine)
        await app.engine.resume(execution_id)
        await listening.output()
        await cancelled(app, execution_id, 1)


FREEZE_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from tests.e2e.test_control import PauseMode, application, ticking

async def main():
    async with application(Path(sys.argv[1])) as app:
        execution_id, _ = await ticking(app, Path(sys.argv[2]))
        await app.engine.pause(execution_id, PauseMode.NOW, "lunch")
        print(execution_id, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_process_that_dies_with_a_frozen_step_leaves_an_execution_that_goes_on(
    sandstone_home: Path, project: Path
) -> None:
    def freeze_and_die() -> str:
        argv = [sys.executable, "-c", FREEZE_AND_WAIT, str(sandstone_home), str(project)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as child:
            assert child.stdout is not None
            execution_id = child.stdout.readline().strip()
            child.send_signal(signal.SIGKILL)
        return execution_id

    execution_id = await asyncio.to_thread(freeze_and_die)
    async with application(sandstone_home) as app:
        record = await app.blocking(app.journal.execution, execution_id)
        assert (record.state, "interrupted" in record.reason) == (ExecutionState.PAUSED, True)
        rows = await asyncio.to_thread(ask_engine, "/containers/json?all=1")
        ours = [row for row in rows if row["Labels"].get("sandstone") == app.store_id]
        assert [row for row in ours if row["Labels"].get("sandstone.lease") != app.lease] == []
        assert len(await asyncio.to_thread(layers, app, execution_id)) == 1
        listening = Listening(app.engine)
        await app.engine.resume(execution_id)
        await listening.output()
        await cancelled(app, execution_id, 1)


FILES = """
import asyncio, resource, sys
from pathlib import Path
from engine.app import open_application

async def main():
    async with open_application(Path(sys.argv[1]), engine=False):
        print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
asyncio.run(main())
"""


def test_a_full_queue_may_hold_a_lock_for_each_of_its_executions(sandstone_home: Path) -> None:
    """Most machines start a process with 1024 files at most, and a queue holds 1000 executions."""
    argv = [sys.executable, "-c", FILES, str(sandstone_home)]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert int(told.stdout) > EngineConfig(sandstone_home).max_queued
