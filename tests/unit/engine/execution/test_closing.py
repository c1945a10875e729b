"""What becomes of executions when their process goes: on purpose, or by dying in the middle of a pause."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import EngineClosingError
from engine.execution.control import PauseMode
from engine.execution.engine import CloseMode
from engine.execution.recovery import REASON
from engine.journal.records import CheckpointKind
from engine.journal.states import ExecutionState
from sandbox.workspace.sealed import install
from tests.fakes.engine_world import Listening, Scripted, SlowEnvironments, World, plan_of, world

CREATE = {"id": "new", "type": "file_create", "path": "sub/new.txt", "content": "new\n"}
WORK = plan_of([CREATE, {"id": "work", "type": "command", "run": "work"}])
STOPPING = "the controller is stopping"


async def working(here: World) -> str:
    here.commands["work"] = Scripted(stdout=b"on\n", effect=lambda tree: (tree / "w").write_text("w"), hangs=True)
    listening = Listening(here.engine)
    execution_id = await here.engine.start(WORK, here.project)
    await listening.output()
    return execution_id


async def goes_on(directory: Path, execution_id: str) -> None:
    """In another process it is resumed and comes to its end."""
    async with world(directory) as here:
        here.commands["work"] = Scripted(effect=lambda tree: (tree / "w").write_text("second"))
        assert await here.recovered() == []
        await here.engine.resume(execution_id)
        assert (await here.engine.wait(execution_id)).state is ExecutionState.COMPLETED
        assert here.content(execution_id, "w") == b"second"
        assert here.content(execution_id, "sub/new.txt") == b"new\n"


@pytest.mark.parametrize("paused", [None, *PauseMode])
async def test_a_stop_leaves_what_runs_paused_for_another_process(tmp_path: Path, paused: PauseMode | None) -> None:
    async with world(tmp_path) as here:
        execution_id = await working(here)
        if paused is not None:
            await here.engine.pause(execution_id, paused, "by hand")
        await here.engine.close(STOPPING, CloseMode.PAUSE)
        record = here.journal.execution(execution_id)
        assert record.state is ExecutionState.PAUSED
        assert record.reason == ("by hand" if paused is PauseMode.NOW else STOPPING)
        assert here.states(execution_id) == ["succeeded", "pending"]
        assert here.kinds(execution_id).count("execution-paused") == 1
        assert here.layers(execution_id) == 1
    await goes_on(tmp_path, execution_id)


async def test_a_stop_leaves_what_waits_paused(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1) as here:
        await working(here)
        waits = await here.engine.start(WORK, here.project)
        await here.engine.close(STOPPING, CloseMode.PAUSE)
        record = here.journal.execution(waits)
        assert (record.state, record.reason) == (ExecutionState.PAUSED, STOPPING)
        assert here.kinds(waits) == ["execution-queued", "execution-paused"]
    await goes_on(tmp_path, waits)


async def test_a_stop_during_the_set_up_ends_the_set_up(tmp_path: Path) -> None:
    slow = SlowEnvironments()
    async with world(tmp_path, environments=slow) as here:
        plan = plan_of([CREATE], environment={"setup": ["true"]})
        execution_id = await here.engine.start(plan, here.project)
        await asyncio.wait_for(slow.begun.wait(), 30)
        await here.engine.close(STOPPING, CloseMode.PAUSE)
        assert slow.cancelled.is_set()
        assert here.journal.execution(execution_id).state is ExecutionState.PAUSED


async def test_without_being_told_a_closing_engine_cancels_what_it_drives(tmp_path: Path) -> None:
    async with world(tmp_path, max_running=1) as here:
        running = await working(here)
        waits = await here.engine.start(WORK, here.project)
        await here.engine.close()
        for execution_id in (running, waits):
            assert here.journal.execution(execution_id).state is ExecutionState.CANCELLED
            assert here.kinds(execution_id)[-1] == "execution-cancelled"


async def test_a_closing_engine_takes_nothing_on(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        record = await here.engine.execute_plan(plan_of([CREATE]), here.project)
        await here.engine.rollback(record.id)
        await here.engine.close(STOPPING, CloseMode.PAUSE)
        with pytest.raises(EngineClosingError):
            await here.engine.start(WORK, here.project)
        with pytest.raises(EngineClosingError) as error:
            await here.engine.resume(record.id)
        assert (error.value.reason, error.value.retryable) == (STOPPING, True)


def _freeze(here: World) -> None:
    """Make the journal what it is when the process dies while the second step is frozen."""
    with closing(sqlite3.connect(here.home / "journal.db")) as connection, connection:
        install(connection)
        connection.execute("UPDATE executions SET state='paused', reason='lunch', head='c1', end_time=NULL")
        connection.execute("UPDATE steps SET state='running', checkpoint=NULL WHERE id='work'")


@pytest.mark.parametrize("by_verb", [False, True])
async def test_a_frozen_attempt_of_a_dead_process_is_pending_again_exactly_once(tmp_path: Path, by_verb: bool) -> None:
    async with world(tmp_path) as here:
        here.commands["work"] = Scripted(effect=lambda tree: (tree / "w").write_text("w"))
        record = await here.engine.execute_plan(WORK, here.project)
        await asyncio.to_thread(_freeze, here)
        if by_verb:
            # The process died while this one lived: whoever takes the execution over puts it in order first.
            await here.engine.resume(record.id)
        else:
            assert await here.recovered() == [record.id]
            assert await here.recovered() == []
            paused = here.journal.execution(record.id)
            assert (paused.state, paused.reason) == (ExecutionState.PAUSED, REASON)
            assert here.states(record.id) == ["succeeded", "pending"]
            await here.engine.resume(record.id)
        assert (await here.engine.wait(record.id)).state is ExecutionState.COMPLETED
        kinds = [checkpoint.kind for checkpoint in here.journal.checkpoints(record.id)]
        assert kinds.count(CheckpointKind.RECOVERY) == 1
        assert here.content(record.id, "w") == b"w"
