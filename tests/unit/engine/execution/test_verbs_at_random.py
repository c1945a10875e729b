"""Verbs in any order, at any moment: the events tell a story that can be, nothing hangs, and no layer is left over."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import NotFoundError, WrongStateError
from engine.execution.control import PauseMode
from engine.journal.states import ENDED, ExecutionState
from tests.fakes.engine_world import Scripted, World, plan_of, world

CREATE = {"id": "new", "type": "file_create", "path": "new.txt", "content": "new\n"}
VERBS = 40

FOLLOWS = {
    "execution-queued": {"", "execution-paused"},
    "execution-started": {"", "execution-queued", "execution-resumed"},
    "execution-resumed": {"execution-paused", "execution-queued"},
    "execution-paused": {
        "execution-queued",
        "execution-started",
        "execution-resumed",
        "execution-completed",
        "execution-failed",
        "execution-cancelled",
    },
    "execution-completed": {"execution-started", "execution-resumed"},
    "execution-failed": {"execution-started", "execution-resumed"},
    "execution-cancelled": {"", "execution-queued", "execution-started", "execution-resumed", "execution-paused"},
}
"""For each event that changes an execution's state, which such event may come before it."""


def check_story(here: World, execution_id: str) -> None:
    """The events are such that the journal's states can have been."""
    before = ""
    for event in here.journal.events(execution_id, limit=100_000):
        kind = event.kind.value
        if kind in FOLLOWS:
            assert before in FOLLOWS[kind], (before, kind)
            # A first start says so after saying that a pause is over.
            before = kind
    running = [step.id for step in here.journal.steps(execution_id) if step.state.value == "running"]
    assert running == []


def check_layers(here: World, execution_id: str) -> None:
    """There is a layer for each that a checkpoint names, and no other."""
    named = {checkpoint.layer for checkpoint in here.journal.checkpoints(execution_id)} - {None}
    assert {layer.id for layer in here.store.walk() if layer.volume == execution_id} == named


@pytest.mark.parametrize("seed", range(12))
async def test_verbs_in_any_order_leave_a_story_that_can_be(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    gate = asyncio.Event()

    async def open_and_shut() -> None:
        while True:
            gate.set()
            await asyncio.sleep(0.002)
            gate.clear()
            await asyncio.sleep(0.004)

    async with world(tmp_path, max_running=2) as here:
        here.commands["work"] = Scripted(stdout=b"on\n", effect=lambda tree: (tree / "w").write_text("w"), until=gate)
        here.commands["bad"] = Scripted(exit_code=1)
        retry = {"attempts": 3, "initial": "2ms", "max": "4ms"}
        steps: list[dict[str, Any]] = [CREATE]
        steps += [{"id": f"s{n}", "type": "command", "run": "work"} for n in range(4)]
        steps += [{"id": "bad", "type": "command", "run": "bad", "retry": retry}]
        plan = plan_of(steps, on_failure="continue")
        swinging = asyncio.create_task(open_and_shut())
        ids = [await here.engine.start(plan, here.project) for _ in range(4)]
        verbs: list[Callable[[str], Awaitable[object]]] = [
            lambda one: here.engine.pause(one, PauseMode.NOW),
            lambda one: here.engine.pause(one, PauseMode.AFTER_STEP),
            here.engine.resume,
            here.engine.resume,
            lambda one: here.engine.rollback(one, "start"),
            here.engine.get_progress,
        ]

        async def act() -> None:
            for _ in range(VERBS):
                verb, one = dice.choice(verbs), dice.choice(ids)
                if dice.random() < 0.02:
                    verb = here.engine.cancel
                try:
                    await verb(one)
                except (WrongStateError, NotFoundError):
                    continue
                finally:
                    await asyncio.sleep(dice.random() * 0.003)

        async with asyncio.timeout(90):
            await asyncio.gather(act(), act())
            for one in ids:
                if here.journal.execution(one).state is ExecutionState.PAUSED:
                    await here.engine.resume(one)
            swinging.cancel()
            gate.set()
            for one in ids:
                record = here.journal.execution(one)
                while record.state not in ENDED:
                    if record.state is ExecutionState.PAUSED:
                        await here.engine.resume(one)
                    elif (run := here.engine._supervisor.find(one)) is not None and run.control.wish is not None:
                        await asyncio.gather(here.engine.resume(one), return_exceptions=True)
                    await asyncio.sleep(0.002)
                    record = here.journal.execution(one)
                await here.engine.wait(one)
        assert here.queue.running == frozenset()
        for one in ids:
            check_story(here, one)
            check_layers(here, one)
