"""What every implementation of `engine.execution.verbs.Verbs` must do. Subclass it with a `verbs` fixture.

`here` is the engine behind; its journal is where the suite looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from engine.errors import CheckpointNameError, NotFoundError, WrongStateError
from engine.events.types import Event, OutputChunk
from engine.execution.control import PauseMode
from engine.execution.verbs import Verbs
from engine.journal.states import ExecutionState
from engine.plan.model import Plan
from tests.fakes.engine_world import World, plan_of

CREATE = {"id": "new", "type": "file_create", "path": "new.txt", "content": "new\n"}
RUN = {"id": "run", "type": "command", "run": "ok"}
HANG = {"id": "hang", "type": "command", "run": "hang"}


@dataclass
class Place:
    """An implementation, and the engine behind it."""

    verbs: Verbs
    here: World

    def plan(self, *steps: dict[str, Any], **header: Any) -> Plan:
        return plan_of(list(steps), **header)


async def until_it_hangs(place: Place) -> str:
    """An execution whose step `hang` has printed its word."""
    subscription = place.verbs.bus.subscribe()
    execution_id = await place.verbs.start(place.plan(HANG), place.here.project)
    async for item in subscription:
        if isinstance(item, OutputChunk) and item.data == b"on\n":
            break
    subscription.close()
    return execution_id


class VerbsSuite:
    """The rules."""

    async def test_a_started_plan_comes_to_its_end(self, place: Place) -> None:
        execution_id = await place.verbs.start(place.plan(CREATE, RUN), place.here.project, name="mine")
        record = await place.verbs.wait(execution_id)
        assert (record.state, record.name, record.head) == (ExecutionState.COMPLETED, "mine", "c2")
        progress = await place.verbs.get_progress(execution_id)
        assert (progress.done, progress.total) == (2, 2)

    async def test_the_bus_tells_all_that_happens_to_what_was_started(self, place: Place) -> None:
        subscription = place.verbs.bus.subscribe()
        execution_id = await place.verbs.start(place.plan(CREATE, RUN), place.here.project)
        await place.verbs.wait(execution_id)
        subscription.close()
        heard = [item async for item in subscription]
        events = [item for item in heard if isinstance(item, Event)]
        assert events == place.here.journal.events(execution_id)
        assert b"".join(item.data for item in heard if isinstance(item, OutputChunk)) == b"fine\n"

    async def test_what_cannot_start_says_why(self, place: Place) -> None:
        with pytest.raises(NotFoundError) as caught:
            await place.verbs.start(place.plan(RUN), place.here.project / "missing")
        assert caught.value.kind == "directory"
        with pytest.raises(NotFoundError) as caught:
            await place.verbs.start(place.plan(RUN, secrets=["TOKEN"]), place.here.project)
        assert (caught.value.kind, caught.value.name) == ("secret", "TOKEN")

    async def test_pause_freezes_resume_goes_on_cancel_ends(self, place: Place) -> None:
        execution_id = await until_it_hangs(place)
        assert (await place.verbs.pause(execution_id, PauseMode.NOW)).state is ExecutionState.PAUSED
        assert (await place.verbs.pause(execution_id, PauseMode.NOW)).state is ExecutionState.PAUSED
        assert (await place.verbs.resume(execution_id)).state is ExecutionState.RUNNING
        assert (await place.verbs.cancel(execution_id, "enough")).state is ExecutionState.CANCELLED
        record = await place.verbs.wait(execution_id)
        assert (record.state, record.reason) == (ExecutionState.CANCELLED, "enough")
        kinds = place.here.kinds(execution_id)
        assert kinds.count("execution-cancelled") == 1
        assert kinds.count("execution-paused") == 1

    async def test_a_verb_in_the_wrong_state_is_refused_with_the_state(self, place: Place) -> None:
        execution_id = await place.verbs.start(place.plan(RUN), place.here.project)
        await place.verbs.wait(execution_id)
        for verb in (
            place.verbs.pause(execution_id),
            place.verbs.resume(execution_id),
            place.verbs.cancel(execution_id),
        ):
            with pytest.raises(WrongStateError) as caught:
                await verb
            assert caught.value.state == "completed"

    async def test_rollback_goes_back_and_resume_runs_it_again(self, place: Place) -> None:
        execution_id = await place.verbs.start(place.plan(CREATE, RUN), place.here.project)
        await place.verbs.wait(execution_id)
        assert (await place.verbs.rollback(execution_id)).id == "c1"
        assert (await place.verbs.rollback(execution_id, "start")).id == "c0"
        with pytest.raises(NotFoundError):
            await place.verbs.rollback(execution_id)
        await place.verbs.resume(execution_id)
        assert (await place.verbs.wait(execution_id)).state is ExecutionState.COMPLETED

    async def test_a_checkpoint_gets_its_name_once(self, place: Place) -> None:
        execution_id = await place.verbs.start(place.plan(CREATE), place.here.project)
        await place.verbs.wait(execution_id)
        made = await place.verbs.checkpoint(execution_id, "mine")
        assert made == place.here.journal.checkpoint(execution_id, "mine")
        with pytest.raises(CheckpointNameError):
            await place.verbs.checkpoint(execution_id, "mine")

    async def test_a_fork_is_an_execution_of_its_own(self, place: Place) -> None:
        execution_id = await place.verbs.start(place.plan(CREATE, RUN), place.here.project)
        await place.verbs.wait(execution_id)
        fork = await place.verbs.fork(execution_id, "new", name="second")
        record = await place.verbs.wait(fork)
        assert (record.state, record.name) == (ExecutionState.COMPLETED, "second")
        assert record.forked_from == f"{execution_id}:c1"

    async def test_what_does_not_exist_is_not_found(self, place: Place) -> None:
        missing = "0" * 32
        for verb in (place.verbs.pause(missing), place.verbs.get_progress(missing), place.verbs.rollback(missing)):
            with pytest.raises(NotFoundError):
                await verb
