"""A process that is killed at a named point of a fork: `python -m tests.faults.fork_child DIRECTORY POINT`.

It runs an origin of two steps over overlays in DIRECTORY, forks its first checkpoint, and kills itself with SIGKILL at
the point. POINTS lists them in the order in which a fork passes them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sandbox.workspace.mounts import KernelMounter
from tests.fakes.engine_world import World, plan_of, world

STEPS: Final = [
    {"id": "one", "type": "file_create", "path": "one.txt", "content": "1\n"},
    {"id": "two", "type": "file_create", "path": "two.txt", "content": "2\n"},
]
POINTS: Final = (
    "lock taken",
    "before the volume",
    "volume made",
    "layer prepared",
    "layer committed",
    "logs there",
    "in the transaction",
    "recorded",
    "started",
    "step done",
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str) -> None:
    setattr(owner, name, lambda *_, **__: die())


def after(owner: Any, name: str, condition: Callable[[Any], bool] = lambda _: True) -> None:
    act = getattr(owner, name)

    def act_and_die(*args: Any, **named: Any) -> Any:
        result = act(*args, **named)
        if condition(result):
            die()
        return result

    setattr(owner, name, act_and_die)


def arm(here: World, point: str) -> None:
    """Have the process killed at `point` of what it does next."""
    engine: Any = here.engine
    forker, store, writer = engine._forker, here.store._target, engine._writer
    match point:
        case "lock taken":
            after(forker._services.locks, "acquire")
        case "before the volume":
            before(store, "create_volume")
        case "volume made":
            after(store, "create_volume")
        case "layer prepared":
            after(store, "prepare")
        case "layer committed":
            after(store, "commit")
        case "logs there":
            after(forker._services.logs, "inherit")
        case "in the transaction":
            from engine.journal.journal import Transaction

            after(Transaction, "copy_baseline")
        case "recorded":
            before(engine._supervisor, "launch")
        case "started":
            arm_event(writer, "execution-started")
        case "step done":
            arm_event(writer, "step-completed")
        case _:
            raise ValueError(point)


def arm_event(writer: Any, kind: str) -> None:
    publish = writer.bus.publish

    def publish_and_die(item: Any) -> None:
        if getattr(item, "kind", None) == kind:
            die()
        publish(item)

    writer.bus.publish = publish_and_die


async def main(directory: Path, point: str) -> None:
    async with world(directory, mounter=KernelMounter()) as here:
        origin = await here.engine.execute_plan(plan_of(STEPS, sandbox={"disk": "16MiB"}), here.project)
        arm(here, point)
        fork = await here.engine.fork(origin.id, "c1")
        await here.engine.wait(fork)
        raise SystemExit(f"{point} was never reached")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
