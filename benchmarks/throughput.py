"""Forty one-line steps over 1, 2 and 4 executions at once, beside the rate at which the engine does bare containers."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.common import (
    IMAGE,
    Figures,
    application_in,
    command_step,
    log,
    make_project,
    plan_of,
    run_plan,
    scratch,
)
from engine.app import Application
from sandbox.docker.api import DockerApi
from sandbox.docker.policy import ContainerPolicy
from sandbox.spec import SandboxSpec

_STEPS = 40
_NUMBERS = itertools.count()


async def measure(quick: bool) -> Figures:
    repeats = 1 if quick else 3
    figures: Figures = {}
    with scratch() as place:
        project = make_project(place / "project", 100)
        slot = place / "slot"
        slot.mkdir()
        async with application_in(place) as application:
            image = (await application.image.resolve(IMAGE)).image_id
            config = await _bare_config(application, image, slot)
            for at_once in (1, 2, 4):
                ours, bare, shares = [], [], []
                for _ in range(repeats):
                    bare.append(await _bare_rate(config, at_once))
                    ours.append(await _our_rate(application, project, at_once))
                    shares.append(ours[-1] / bare[-1])
                    log(f"  {at_once} at once: {ours[-1]:.2f} steps/s, bare containers {bare[-1]:.2f}/s")
                figures[str(at_once)] = {
                    "steps/s": round(max(ours), 2),
                    "bare containers/s": round(max(bare), 2),
                    "share, best of each": f"{max(ours) / max(bare):.0%}",
                    "share, median of pairs": f"{statistics.median(shares):.0%}",
                }
    return figures


async def _our_rate(application: Application, project: Path, at_once: int) -> float:
    """From the first plan's acceptance, with nothing waiting, to the last one's end."""
    plan = plan_of([command_step(f"s{i}", "echo done") for i in range(_STEPS // at_once)])
    started = time.perf_counter()
    await asyncio.gather(*(run_plan(application, plan, project) for _ in range(at_once)))
    taken = time.perf_counter() - started
    await application.provider._removals.drain()
    return _STEPS / taken


async def _bare_config(application: Application, image_id: str, slot: Path) -> dict[str, Any]:
    """The create call of our own containers, but with a command and nothing attached."""
    knowledge = application.provider._knowledge
    host, image = await knowledge.host(), await knowledge.image(image_id)
    policy = ContainerPolicy("benchmark", "benchmark", host.cgroup_version, host.cpus)
    config = policy.create_config(SandboxSpec(image_id), image, slot, late_mounts=True)
    closed = {"OpenStdin": False, "StdinOnce": False}
    closed |= {"AttachStdin": False, "AttachStdout": False, "AttachStderr": False}
    return config | closed | {"Cmd": ["/bin/sh", "-c", "echo done"]}


async def _bare_rate(config: dict[str, Any], at_once: int) -> float:
    """create, start, wait, remove; nothing else."""
    api = DockerApi()

    async def one() -> None:
        container = await api.create(f"sandstone-bare-{next(_NUMBERS)}", config)
        try:
            await api.start(container)
            await api._make("wait", lambda client: client.wait(container))
        finally:
            await api.remove(container)

    async def worker() -> None:
        for _ in range(_STEPS // at_once):
            await one()

    try:
        started = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        return _STEPS / (time.perf_counter() - started)
    finally:
        api.close()
