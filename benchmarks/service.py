"""The controller as its clients see it: calls, first output, event streams, restart, and what it costs when idle.

The controller is a process of its own; this one is its client. Floors and peers of the same run: gRPC's own health
check on the same channel for calls, `docker run` for the first output, an empty store for the restart.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.common import DISK, IMAGE, Figures, call, log, make_project, scratch, summary
from benchmarks.history import add_events, make_history
from engine._gen.sandstone.v1 import (
    execution_service_pb2,
    execution_service_pb2_grpc,
    inspection_service_pb2,
    inspection_service_pb2_grpc,
)

_PROGRAM: Final = [sys.executable, "-c", "import sys; from engine.cli import main; sys.exit(main())"]
_PLAN: Final = json.dumps(
    {
        "version": 1,
        "sandbox": {"disk": DISK},
        "steps": [{"id": "say", "type": "command", "run": "echo on"}],
    }
)


@dataclass
class Serving:
    """A controller that runs, and a channel to it. ready_ms: from its start to its word that it listens."""

    process: subprocess.Popen[bytes]
    channel: grpc.aio.Channel
    ready_ms: float

    def __post_init__(self) -> None:
        executions: Any = execution_service_pb2_grpc.ExecutionServiceStub
        inspection: Any = inspection_service_pb2_grpc.InspectionServiceStub
        health: Any = health_pb2_grpc.HealthStub
        self.executions = executions(self.channel)
        self.inspection = inspection(self.channel)
        self.health = health(self.channel)

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[Serving]:
    """A controller over `directory`/home for the block."""
    socket = directory / "run" / "c.sock"
    environment = {**os.environ, "SANDSTONE_HOME": str(directory / "home")}
    started = time.perf_counter()
    process = _start([*_PROGRAM, "serve", "--listen", f"unix:{socket}"], environment)
    try:
        assert process.stdout is not None
        if not await asyncio.to_thread(process.stdout.readline):
            raise RuntimeError("the controller did not start")
        ready_ms = (time.perf_counter() - started) * 1e3
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            await channel.channel_ready()
            yield Serving(process, channel, ready_ms)
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait)


async def measure(quick: bool) -> Figures:
    executions, rounds = (50, 3) if quick else (1000, 7)
    with scratch() as directory:
        empty, full = directory / "empty", directory / "full"
        for place in (empty, full):
            (place / "home").mkdir(parents=True)
        ids = await asyncio.to_thread(make_history, full / "home", executions)
        await asyncio.to_thread(add_events, full / "home", ids[0], 2_000 if quick else 20_000)
        project = await asyncio.to_thread(make_project, directory / "project", 100)
        figures = await _restarts({"empty store": empty, f"{executions} executions": full}, rounds)
        async with serving(full) as there:
            log("service: calls ...")
            figures |= await _calls(there, ids[0], 100 if quick else 1000)
            log("service: events ...")
            figures |= await _events(there, ids[0], rounds)
        async with serving(empty) as there:
            log("service: first output ...")
            figures |= await _first_output(there, project, 5 if quick else 25)
            log("service: pause, resume, cancel ...")
            figures |= await _control(there, project, 3 if quick else 15)
            await asyncio.sleep(2)
            figures["resident MiB, idle"] = round(await asyncio.to_thread(there.resident_mib), 1)
        return figures


async def _restarts(stores: dict[str, Path], rounds: int) -> Figures:
    times: dict[str, list[float]] = {f"start to ready, {name}": [] for name in stores}
    for _ in range(rounds):
        for name, store in stores.items():
            async with serving(store) as there:
                times[f"start to ready, {name}"].append(there.ready_ms)
    return {name: summary(values) for name, values in times.items()}


async def _calls(there: Serving, execution_id: str, count: int) -> Figures:
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "health check (floor)": lambda: there.health.Check(health_pb2.HealthCheckRequest()),
        "GetServerInfo": lambda: there.inspection.GetServerInfo(inspection_service_pb2.GetServerInfoRequest()),
        "GetProgress": lambda: there.executions.GetProgress(
            execution_service_pb2.GetProgressRequest(execution_id=execution_id)
        ),
        "GetStatus, 10 steps": lambda: there.executions.GetStatus(
            execution_service_pb2.GetStatusRequest(execution_id=execution_id)
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(count):
        for name, ask in calls.items():
            started = time.perf_counter()
            await ask()
            if number >= count // 10:
                times[name].append((time.perf_counter() - started) * 1e3)
    return {name: summary(values) for name, values in times.items()}


async def _events(there: Serving, execution_id: str, rounds: int) -> Figures:
    async def read() -> int:
        request = execution_service_pb2.WatchEventsRequest(execution_id=execution_id)
        return sum([len(answer.events) async for answer in there.executions.WatchEvents(request)])

    best: dict[str, float] = {}
    for watchers in (1, 50):
        for _ in range(rounds if watchers == 1 else 2):
            started = time.perf_counter()
            received = sum(await asyncio.gather(*(read() for _ in range(watchers))))
            rate = received / (time.perf_counter() - started)
            name = f"events/s to {watchers} watcher{'s' * (watchers > 1)}"
            best[name] = max(best.get(name, 0.0), rate)
    return {name: round(rate) for name, rate in best.items()}


async def _first_output(there: Serving, project: Path, count: int) -> Figures:
    ours: list[float] = []
    for _ in range(count):
        await asyncio.sleep(1)  # a container waits again
        started = time.perf_counter()
        answer = await there.executions.ExecutePlan(
            execution_service_pb2.ExecutePlanRequest(plan_text=_PLAN, workspace=str(project))
        )
        request = execution_service_pb2.WatchEventsRequest(
            execution_id=answer.execution.execution_id, include_output=True
        )
        told = False
        async for heard in there.executions.WatchEvents(request):
            if heard.output and not told:
                told = True
                ours.append((time.perf_counter() - started) * 1e3)
    theirs = [await asyncio.to_thread(_docker_first_output) for _ in range(count)]
    return {"ExecutePlan to first output": summary(ours), "docker run to first output": summary(theirs)}


async def _control(there: Serving, project: Path, count: int) -> Figures:
    """The three verbs on a step that runs: frozen, thawed, dead when they return."""
    times: dict[str, list[float]] = {"Pause, now": [], "Resume": [], "Cancel": []}
    plan = json.loads(_PLAN)
    plan["steps"][0]["run"] = "echo on; sleep 600"
    for _ in range(count):
        answer = await there.executions.ExecutePlan(
            execution_service_pb2.ExecutePlanRequest(plan_text=json.dumps(plan), workspace=str(project))
        )
        execution_id = answer.execution.execution_id
        stream = there.executions.WatchEvents(
            execution_service_pb2.WatchEventsRequest(execution_id=execution_id, include_output=True)
        )
        while not (await stream.read()).output:
            pass
        stream.cancel()
        for name, ask, request in (
            ("Pause, now", there.executions.Pause, execution_service_pb2.PauseRequest(execution_id=execution_id)),
            ("Resume", there.executions.Resume, execution_service_pb2.ResumeRequest(execution_id=execution_id)),
            ("Cancel", there.executions.Cancel, execution_service_pb2.CancelRequest(execution_id=execution_id)),
        ):
            started = time.perf_counter()
            await ask(request)
            times[name].append((time.perf_counter() - started) * 1e3)
    return {name: summary(values) for name, values in times.items()}


def _docker_first_output() -> float:
    started = time.perf_counter()
    call("docker", "run", "--rm", "--network", "none", IMAGE, "echo", "on")
    return (time.perf_counter() - started) * 1e3
