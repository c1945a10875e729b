"""The verbs on executions, over scripted sandboxes and plain copies: cancel, pause, rollback, checkpoints, recovery."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from engine.clock import ManualClock
from engine.errors import NotFoundError, WrongStateError
from engine.events.types import EventKind
from engine.execution.admission import CheckpointNameError
from engine.execution.control import PauseMode
from engine.execution.recovery import REASON
from engine.journal.states import ExecutionState, StepState
from sandbox.workspace.sealed import install
from tests.fakes.engine_world import Scripted, World, plan_of, world

CREATE = {"id": "new", "type": "file_create", "path": "sub/new.txt", "content": "new\n"}
FIX = {"id": "fix", "type": "file_edit", "path": "gcd.py", "replace": {"search": "a - b", "with": "a % b"}}


def command(step_id: str, run: str = "ok", **more: object) -> dict[str, object]:
    return {"id": step_id, "type": "command", "run": run, **more}


def states(here: World, execution_id: str) -> list[str]:
    return [step.state.value for step in here.journal.steps(execution_id)]


async def test_cancel_kills_the_running_step_and_leaves_no_layer(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["hang"] = Scripted(hangs=True, stdout=b"on\n")
        subscription = here.engine.bus.subscribe()
        execution_id = await here.engine.start(plan_of([CREATE, command("h", "hang")]), here.project)
        async for item in subscription:
            if getattr(item, "step_id", None) == "h" and isinstance(getattr(item, "data", None), bytes):
                break
        record = await here.engine.cancel(execution_id)
        assert record.state is ExecutionState.CANCELLED
        assert record.head == "c1"
        assert states(here, execution_id) == ["succeeded", "pending"]
        assert here.kinds(execution_id).count("execution-cancelled") == 1
        assert len([layer for layer in here.store.walk() if layer.volume == execution_id]) == 1


async def test_pause_after_step_holds_until_resume(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["ok"] = Scripted()
        subscription = here.engine.bus.subscribe()
        execution_id = await here.engine.start(plan_of([command("a"), command("b")]), here.project)
        await here.engine.pause(execution_id, PauseMode.AFTER_STEP)
        async for item in subscription:
            if getattr(item, "kind", None) == "execution-paused":
                break
        assert here.journal.execution(execution_id).state is ExecutionState.PAUSED
        assert (await here.engine.get_progress(execution_id)).done < 2
        await here.engine.resume(execution_id)
        record = await here.engine.wait(execution_id)
        assert record.state is ExecutionState.COMPLETED
        assert "execution-resumed" in here.kinds(execution_id)


async def test_a_frozen_sandbox_goes_on_after_resume(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["ok"] = Scripted(stdout=b"x")
        subscription = here.engine.bus.subscribe()
        execution_id = await here.engine.start(plan_of([command("a")]), here.project)
        await here.engine.pause(execution_id, PauseMode.NOW)
        await here.engine.resume(execution_id)
        assert (await asyncio.wait_for(here.engine.wait(execution_id), 10)).state is ExecutionState.COMPLETED
        subscription.close()


async def test_rollback_by_hand_pauses_and_resume_runs_the_rest_again(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["ok"] = Scripted(effect=lambda tree: (tree / "out").write_text("x"))
        record = await here.engine.execute_plan(plan_of([CREATE, command("run")]), here.project)
        target = await here.engine.rollback(record.id)
        assert target.id == "c1"
        assert here.journal.execution(record.id).state is ExecutionState.PAUSED
        assert states(here, record.id) == ["succeeded", "rolled_back"]
        assert here.content(record.id, "out") is None
        await here.engine.resume(record.id)
        again = await here.engine.wait(record.id)
        assert again.state is ExecutionState.COMPLETED
        assert here.content(record.id, "out") == b"x"
        assert len(here.journal.checkpoints(record.id)) == 4


async def test_a_head_that_is_moved_to_where_steps_had_been_has_them_done_and_resume_runs_only_the_rest(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as here:
        here.commands["work"] = Scripted(exit_code=1)
        record = await here.engine.execute_plan(plan_of([CREATE, command("work", "work")]), here.project)
        assert states(here, record.id) == ["rolled_back", "failed"]
        assert (await here.engine.rollback(record.id, "c1")).id == "c1"
        assert states(here, record.id) == ["succeeded", "pending"]
        here.commands["work"] = Scripted(effect=lambda tree: (tree / "out").write_text("x"))
        await here.engine.resume(record.id)
        assert (await here.engine.wait(record.id)).state is ExecutionState.COMPLETED
        assert states(here, record.id) == ["succeeded", "succeeded"]
        first = here.journal.steps(record.id)[0]
        assert (first.checkpoint, first.attempts) == ("c1", 1)


async def test_rollback_knows_its_limits(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        record = await here.engine.execute_plan(plan_of([CREATE, FIX]), here.project)
        await here.engine.rollback(record.id, "start")
        with pytest.raises(NotFoundError):
            await here.engine.rollback(record.id)
        with pytest.raises(NotFoundError):
            await here.engine.rollback(record.id, "nowhere")


async def test_a_failed_attempts_branch_can_never_be_a_head(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["bad"] = Scripted(exit_code=1, effect=lambda tree: (tree / "j").write_text("j"))
        record = await here.engine.execute_plan(plan_of([command("b", "bad")]), here.project)
        with pytest.raises(NotFoundError):
            await here.engine.rollback(record.id, "b!failed")


async def test_verbs_are_refused_in_the_wrong_state(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        record = await here.engine.execute_plan(plan_of([CREATE]), here.project)
        for verb in (here.engine.resume, here.engine.pause, here.engine.cancel):
            with pytest.raises(WrongStateError) as error:
                await verb(record.id)
            assert error.value.state == "completed"


async def test_a_manual_checkpoint_names_the_head(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        record = await here.engine.execute_plan(plan_of([CREATE, FIX]), here.project)
        made = await here.engine.checkpoint(record.id, "good")
        assert here.journal.checkpoint(record.id, "good").layer == here.journal.checkpoint(record.id, record.head).layer
        assert made.parent == record.head
        for name in ("good", "c9", "", "a..b", "x\n"):
            with pytest.raises(CheckpointNameError):
                await here.engine.checkpoint(record.id, name)


def _die_in_the_middle(here: World) -> None:
    """Make the journal what it is when the process dies while the second step runs."""
    with closing(sqlite3.connect(here.home / "journal.db")) as connection, connection:
        install(connection)
        connection.execute("UPDATE executions SET state='running', head='c1', end_time=NULL")
        connection.execute("UPDATE steps SET state='running', checkpoint=NULL WHERE id='run'")


async def test_an_execution_without_a_process_is_paused_and_can_go_on(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["ok"] = Scripted()
        record = await here.engine.execute_plan(plan_of([CREATE, command("run")]), here.project)
        await asyncio.to_thread(_die_in_the_middle, here)
        assert await here.recovered() == [record.id]
        assert await here.recovered() == []
        paused = here.journal.execution(record.id)
        assert (paused.state, paused.reason) == (ExecutionState.PAUSED, REASON)
        assert here.journal.steps(record.id)[1].state is StepState.PENDING
        await here.engine.resume(record.id)
        assert (await here.engine.wait(record.id)).state is ExecutionState.COMPLETED


async def test_what_an_interrupted_execution_has_run_is_not_forgotten(tmp_path: Path) -> None:
    clock = ManualClock()

    def first(tree: Path) -> None:
        clock.advance(timedelta(seconds=7))

    async with world(tmp_path, clock=clock) as here:
        here.commands["first"] = Scripted(effect=first)
        here.commands["hang"] = Scripted(hangs=True)
        subscription = here.engine.bus.subscribe()
        execution_id = await here.engine.start(plan_of([command("a", "first"), command("b", "hang")]), here.project)
        async for item in subscription:
            if getattr(item, "kind", None) is EventKind.EXECUTION_PROGRESS:
                break
        assert here.journal.execution(execution_id).run_ms == 7000
        clock.advance(timedelta(seconds=1))
        assert here.journal.elapsed_ms(here.journal.execution(execution_id)) == 8000
        await here.engine.cancel(execution_id)


async def test_an_execution_that_lives_is_never_recovered(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["hang"] = Scripted(hangs=True)
        execution_id = await here.engine.start(plan_of([command("h", "hang")]), here.project)
        assert await here.recovered() == []
        await here.engine.cancel(execution_id)
