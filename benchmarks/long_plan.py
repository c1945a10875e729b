"""A plan of a thousand steps: what a step takes, and what the process holds, from the first to the last."""

from __future__ import annotations

import time

from benchmarks.common import (
    Figures,
    TimedSteps,
    application_in,
    command_step,
    make_project,
    plan_of,
    resident_mib,
    run_plan,
    scratch,
    summary,
)
from engine.execution.run import Run

_EVERY = 20
"""One step in so many is a command."""


def _step(index: int) -> Figures:
    if index % _EVERY == _EVERY - 1:
        return command_step(f"s{index}", f"cat src/m{index - 1}.txt >> log.txt")
    if index % 2:
        path, written = f"src/m{index - 1}.txt", index - 1
        if (index - 1) % _EVERY != _EVERY - 1:
            return {
                "id": f"s{index}",
                "type": "file_edit",
                "path": path,
                "replace": {"search": f"value {written}", "with": f"edited {written}"},
            }
    return {"id": f"s{index}", "type": "file_create", "path": f"src/m{index}.txt", "content": f"value {index}\n"}


async def measure(quick: bool) -> Figures:
    count = 200 if quick else 1000
    with scratch() as place:
        project = make_project(place / "project", 100)
        async with application_in(place) as application:
            resident: list[float] = []

            async def before(run: Run, index: int) -> None:
                if index % 10 == 0:
                    resident.append(resident_mib())

            clock = TimedSteps(application, before)
            started = time.perf_counter()
            _, steps = await run_plan(application, plan_of([_step(i) for i in range(count)]), project)
            taken = time.perf_counter() - started
    edits = [clock.times[step.id] for step in steps if step.type != "command"]
    commands = [clock.times[step.id] for step in steps if step.type == "command"]
    edge, command_edge = (100, 10) if not quick else (50, 5)
    first, last = summary(edits[:edge]), summary(edits[-edge:])
    return {
        "steps": count,
        "seconds": round(taken, 1),
        f"first {edge} edits": first,
        f"last {edge} edits": last,
        "last / first (p50)": round(last["p50"] / first["p50"], 2),
        f"first {command_edge} commands": summary(commands[:command_edge]),
        f"last {command_edge} commands": summary(commands[-command_edge:]),
        "resident MiB after 100 steps": round(resident[10], 1),
        "resident MiB at the end": round(resident[-1], 1),
        "series": {
            "edit_ms": [round(value, 2) for value in edits],
            "resident_mib": [round(value, 2) for value in resident],
            "resident_every": 10,
        },
    }
