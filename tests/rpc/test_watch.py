"""What a watcher gets: everything once and in order, whatever was missed, whoever drives, however slow it reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine.clock import ManualClock, SystemClock
from engine.events.types import EventKind, OutputChunk
from engine.rpc.watch import LOOK_AGAIN, Batch, Watch
from sandbox.spec import Stream
from tests.fakes.engine_world import Scripted, World, plan_of, world

RUN = {"id": "run", "type": "command", "run": "ok"}
HANG = {"id": "hang", "type": "command", "run": "hang"}
QUARTER = timedelta(seconds=15)


def watch_of(here: World, *, driven: bool | None = None) -> Watch:
    assert here.writer is not None
    drives = here.engine.drives if driven is None else (lambda _: driven)
    return Watch(here.writer.journal, here.engine.bus, here.writer.blocking, here.clock, drives)


async def everything(batches: AsyncIterator[Batch]) -> list[Batch]:
    return [batch async for batch in batches]


def sequences(batches: list[Batch]) -> list[int]:
    return [event.sequence for batch in batches for event in batch.events]


async def test_all_events_come_once_and_in_order_and_then_it_ends(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["ok"] = Scripted(stdout=b"x\n")
        execution_id = await here.engine.start(plan_of([{**RUN, "id": f"r{n}"} for n in range(20)]), here.project)
        found = await everything(watch_of(here).batches(execution_id, 0, include_output=False, heartbeat=QUARTER))
        last = here.journal.execution(execution_id).last_sequence
        assert sequences(found) == list(range(1, last + 1))
        assert found[-1].events[-1].kind is EventKind.EXECUTION_COMPLETED


async def test_only_what_comes_after_a_number_is_given(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["ok"] = Scripted()
        record = await here.engine.execute_plan(plan_of([RUN]), here.project)
        found = await everything(watch_of(here).batches(record.id, 3, include_output=False, heartbeat=QUARTER))
        assert sequences(found) == list(range(4, record.last_sequence + 1))
        assert (
            await everything(
                watch_of(here).batches(record.id, record.last_sequence, include_output=False, heartbeat=QUARTER)
            )
            == []
        )


async def test_output_comes_live_when_it_is_asked_for(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["hang"] = Scripted(stdout=b"hello\n", hangs=True)
        execution_id = await here.engine.start(plan_of([HANG]), here.project)
        async with aclosing(watch_of(here).batches(execution_id, 0, include_output=True, heartbeat=QUARTER)) as batches:
            async for batch in batches:
                if batch.output:
                    assert batch.output[0].data == b"hello\n"
                    break
        await here.engine.cancel(execution_id)


async def test_a_watcher_that_does_not_read_loses_output_and_no_event(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["hang"] = Scripted(hangs=True)
        execution_id = await here.engine.start(plan_of([HANG]), here.project)
        async with aclosing(watch_of(here).batches(execution_id, 0, include_output=True, heartbeat=QUARTER)) as batches:
            first = await anext(batches)
            assert here.writer is not None

            def many(tx: Any) -> None:
                for _ in range(6000):
                    tx.emit(execution_id, EventKind.STEP_SKIPPED, "hang", reason="filler")

            await here.writer.write(many)
            flood = OutputChunk(execution_id, "hang", 1, Stream.STDOUT, bytes(1 << 20))
            for _ in range(10):
                here.engine.bus.publish(flood)
            await here.engine.cancel(execution_id)
            rest = await everything(batches)
        last = here.journal.execution(execution_id).last_sequence
        assert sequences([first, *rest]) == list(range(1, last + 1))
        assert rest[-1].dropped_bytes >= 6 << 20
        assert sum(len(chunk.data) for batch in rest for chunk in batch.output) <= 4 << 20


async def test_an_execution_that_another_process_drives_is_followed_through_the_journal(tmp_path: Path) -> None:
    clock = ManualClock()
    async with world(tmp_path, clock=clock) as here:
        here.commands["hang"] = Scripted(hangs=True)
        execution_id = await here.engine.start(plan_of([HANG]), here.project)
        here.engine.bus.close()
        watching = asyncio.ensure_future(
            everything(
                watch_of(here, driven=False).batches(
                    execution_id, 0, include_output=False, heartbeat=timedelta(hours=1)
                )
            )
        )
        await here.engine.cancel(execution_id)
        while not watching.done():
            clock.advance(LOOK_AGAIN)
            await asyncio.sleep(0)
        last = here.journal.execution(execution_id).last_sequence
        assert sequences(watching.result()) == list(range(1, last + 1))


async def test_a_sign_of_life_comes_when_nothing_happens(tmp_path: Path) -> None:
    clock = ManualClock()
    async with world(tmp_path, clock=clock) as here:
        here.commands["hang"] = Scripted(hangs=True)
        execution_id = await here.engine.start(plan_of([HANG]), here.project)
        async with aclosing(
            watch_of(here).batches(execution_id, 0, include_output=False, heartbeat=timedelta(seconds=5))
        ) as batches:
            beats = 0
            pending = asyncio.ensure_future(anext(batches))
            while beats < 2:
                clock.advance(timedelta(seconds=1))
                await asyncio.sleep(0)
                if pending.done():
                    beats += pending.result().empty
                    pending = asyncio.ensure_future(anext(batches))
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)
        await here.engine.cancel(execution_id)


async def test_a_closed_bus_ends_the_stream_of_a_live_execution(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["hang"] = Scripted(hangs=True)
        execution_id = await here.engine.start(plan_of([HANG]), here.project)
        watching = asyncio.ensure_future(
            everything(watch_of(here).batches(execution_id, 0, include_output=False, heartbeat=QUARTER))
        )
        await asyncio.sleep(0)
        here.engine.bus.close()
        await watching
        await here.engine.cancel(execution_id)


async def test_many_watchers_see_the_same(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as here:
        here.commands["ok"] = Scripted(stdout=b"x\n")
        execution_id = await here.engine.start(plan_of([{**RUN, "id": f"r{n}"} for n in range(10)]), here.project)
        found = await asyncio.gather(
            *(
                everything(watch_of(here).batches(execution_id, 0, include_output=False, heartbeat=QUARTER))
                for _ in range(50)
            )
        )
        last = here.journal.execution(execution_id).last_sequence
        assert all(sequences(each) == list(range(1, last + 1)) for each in found)
