"""What goes, what stays, and in which order."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.errors import JournalCorruptError, NotFoundError
from engine.execution.garbage import PAUSED, GarbageCollector, GarbageReport, collectable, unreachable
from engine.execution.unowned import Standing, remove_unowned
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord, Request
from engine.journal.states import ExecutionState
from sandbox.workspace.layer import DiskLimit, Layer, LayerKey, LayerKind, LayerName, VolumeId
from tests.fakes.engine_world import Scripted, World, plan_of, world

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CREATE = {"id": "new", "type": "file_create", "path": "new.txt", "content": "new\n"}
MORE = {"id": "more", "type": "file_create", "path": "more.txt", "content": "more\n"}


def ended(name: str, age: timedelta, state: ExecutionState = ExecutionState.COMPLETED) -> ExecutionRecord:
    return ExecutionRecord(
        id=name,
        name=name,
        state=state,
        plan_digest="",
        workspace="/w",
        workspace_dev=0,
        workspace_inode=0,
        start_ns=0,
        create_time=NOW - age,
        end_time=NOW - age,
    )


def names(records: list[ExecutionRecord]) -> list[str]:
    return [record.id for record in records]


def test_only_what_ended_long_enough_ago_and_is_not_among_the_newest_goes() -> None:
    found = [ended("a", DAY), ended("b", 3 * DAY), ended("c", 9 * DAY)]
    assert names(collectable(found, NOW, None, None)) == ["a", "b", "c"]
    assert names(collectable(found, NOW, 2 * DAY, None)) == ["b", "c"]
    assert names(collectable(found, NOW, None, 1)) == ["b", "c"]
    assert names(collectable(found, NOW, 5 * DAY, 1)) == ["c"]


def test_what_may_still_go_on_is_never_collected() -> None:
    states = (ExecutionState.IDLE, ExecutionState.RUNNING, ExecutionState.PAUSED)
    assert collectable([ended(state.value, 9 * DAY, state) for state in states], NOW, None, None) == []


def test_side_branches_are_what_neither_head_nor_a_named_checkpoint_stands_on() -> None:
    def node(number: int, parent: str | None, kind: CheckpointKind = CheckpointKind.AUTOMATIC) -> CheckpointRecord:
        return CheckpointRecord("e", number, f"n{number}", kind, None, parent, None, NOW)

    tree = [node(0, None), node(1, "c0"), node(2, "c1"), node(3, "c1", CheckpointKind.FAILED), node(4, "c0")]
    assert [c.id for c in unreachable("c2", tree)] == ["c4", "c3"]
    named = [*tree, node(5, "c4", CheckpointKind.MANUAL)]
    assert [c.id for c in unreachable("c2", named)] == ["c3"]


def test_a_checkpoint_that_was_forked_is_needed_with_all_below_it() -> None:
    def node(number: int, parent: str | None, kind: CheckpointKind = CheckpointKind.AUTOMATIC) -> CheckpointRecord:
        return CheckpointRecord("e", number, f"n{number}", kind, None, parent, None, NOW)

    tree = [node(0, None), node(1, "c0"), node(2, "c1", CheckpointKind.FAILED), node(3, "c1"), node(4, "c0")]
    assert [c.id for c in unreachable("c0", tree, {"c2"})] == ["c4", "c3"]


async def collect(here: World, *, dry_run: bool = False, older_than: timedelta | None = None) -> GarbageReport:
    collector = GarbageCollector(here.journal, here.store, here.locks, here.logs)
    now = here.clock.now()
    return await asyncio.to_thread(lambda: collector.collect(now, older_than=older_than, keep=None, dry_run=dry_run))


async def test_an_ended_execution_goes_whole(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["say"] = Scripted(stdout=b"x")
        step = {"id": "s", "type": "command", "run": "say"}
        record = await here.engine.execute_plan(plan_of([CREATE, step]), here.project)
        report = await collect(here)
        assert report.executions == [record.id]
        assert here.journal.executions() == []
        assert here.store.volumes() == []
        assert not await asyncio.to_thread((here.home / "logs" / record.id).exists)
        assert (await collect(here)).executions == []


async def test_a_dry_run_removes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        record = await here.engine.execute_plan(plan_of([CREATE]), here.project)
        assert (await collect(here, dry_run=True)).executions == [record.id]
        assert here.journal.execution(record.id).id == record.id
        assert here.store.volumes() == [record.id]


async def test_what_is_kept_or_running_stays(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["hang"] = Scripted(hangs=True)
        kept = await here.engine.execute_plan(plan_of([CREATE]), here.project, keep=True)
        running = await here.engine.start(plan_of([{"id": "h", "type": "command", "run": "hang"}]), here.project)
        assert (await collect(here)).executions == []
        assert {record.id for record in here.journal.executions()} == {kept.id, running}
        await here.engine.cancel(running)


async def test_of_an_execution_that_stays_the_abandoned_branch_goes_and_the_head_still_reads(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["bad"] = Scripted(exit_code=1, effect=lambda tree: (tree / "junk").write_text("j"))
        steps = [CREATE, {"id": "b", "type": "command", "run": "bad"}]
        record = await here.engine.execute_plan(plan_of(steps, on_failure="stop"), here.project)
        assert len(list(here.store.walk())) == 2
        report = await collect(here, older_than=DAY)
        assert report.checkpoints == [f"{record.id}:c2"]
        assert [checkpoint.id for checkpoint in here.journal.checkpoints(record.id)] == ["c0", "c1"]
        assert len(list(here.store.walk())) == 1
        assert here.content(record.id, "new.txt") == b"new\n"


async def test_branches_of_a_paused_execution_stay(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        record = await here.engine.execute_plan(plan_of([CREATE, MORE]), here.project)
        await here.engine.rollback(record.id)
        assert (await collect(here)).checkpoints == []
        assert len(here.journal.checkpoints(record.id)) == 3


def _remember(here: World, request: Request, execution_id: str) -> None:
    with here.journal.transaction() as tx:
        tx.remember(request, execution_id)


async def test_requests_are_forgotten_after_a_week(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        record = await here.engine.execute_plan(plan_of([CREATE]), here.project)
        await asyncio.to_thread(_remember, here, Request("r", "execute-plan", "digest"), record.id)

        async def known_after(age: timedelta, dry_run: bool) -> bool:
            collector = GarbageCollector(here.journal, here.store, here.locks, here.logs)
            now = here.clock.now() + age
            await asyncio.to_thread(
                lambda: collector.collect(now, older_than=30 * DAY, keep=None, dry_run=dry_run),
            )
            return await asyncio.to_thread(here.journal.request, "r") is not None

        assert await known_after(7 * DAY - timedelta(hours=1), dry_run=False)
        assert await known_after(7 * DAY, dry_run=True)
        assert not await known_after(7 * DAY, dry_run=False)


async def finished_fork(here: World, execution_id: str, checkpoint: str, path: str, **more: Any) -> str:
    plan = plan_of([{"id": "own", "type": "file_create", "path": path, "content": "own\n"}])
    fork = await here.engine.fork(execution_id, checkpoint, plan=plan, **more)
    await here.engine.wait(fork)
    return fork


async def mark_kept(here: World, execution_id: str, kept: int) -> None:
    engine: Any = here.engine
    await engine._writer.write(lambda tx: tx.set_execution(execution_id, kept=kept))


def layers(here: World) -> int:
    return len(list(here.store.walk()))


async def test_what_a_fork_stands_on_outlives_its_origin_and_goes_with_the_fork(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        origin = await here.engine.execute_plan(plan_of([CREATE, MORE]), here.project)
        fork = await finished_fork(here, origin.id, "c1", "own.txt", keep=True)
        report = await collect(here)
        assert report.executions == [origin.id]
        assert report.skipped == []
        assert [record.id for record in here.journal.executions()] == [fork]
        assert here.store.volumes() == [origin.id, fork]
        assert here.content(fork, "new.txt") == b"new\n"
        assert here.content(fork, "own.txt") == b"own\n"
        # What the origin did above the checkpoint is needed by nobody.
        assert layers(here) == 3
        assert (await collect(here)).executions == []
        await mark_kept(here, fork, 0)
        report = await collect(here)
        assert (report.executions, report.skipped) == ([fork], [])
        assert f"volumes/{origin.id}" in report.rubbish
        assert (here.store.volumes(), layers(here)) == ([], 0)


async def test_a_chain_of_forks_may_be_removed_from_any_end(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        origin = await here.engine.execute_plan(plan_of([CREATE]), here.project)
        middle = await finished_fork(here, origin.id, "c1", "middle.txt")
        last = await finished_fork(here, middle, "c1", "last.txt", keep=True)
        assert set((await collect(here)).executions) == {origin.id, middle}
        assert set(here.store.volumes()) == {origin.id, middle, last}
        for path in ("new.txt", "middle.txt", "last.txt"):
            assert here.content(last, path) is not None
        assert (await finished_fork(here, last, "c1", "more.txt")) in here.store.volumes()
        await mark_kept(here, last, 0)
        await collect(here)
        assert here.store.volumes() == []


async def test_a_failed_branch_that_was_forked_stays_until_the_fork_goes(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        here.commands["bad"] = Scripted(exit_code=1, effect=lambda tree: (tree / "junk").write_text("j"))
        steps = [CREATE, {"id": "b", "type": "command", "run": "bad"}]
        origin = await here.engine.execute_plan(plan_of(steps, on_failure="stop"), here.project)
        fork = await finished_fork(here, origin.id, "b!failed", "own.txt")
        assert (await collect(here, older_than=DAY)).checkpoints == []
        assert here.content(fork, "junk") == b"j"
        await mark_kept(here, origin.id, 1)
        assert (await collect(here)).executions == [fork]
        await mark_kept(here, origin.id, 0)
        assert (await collect(here, older_than=DAY)).checkpoints == [f"{origin.id}:c2"]
        assert layers(here) == 1


async def test_a_volume_that_no_execution_owns_goes_unless_it_is_being_accepted(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        origin = await here.engine.execute_plan(plan_of([CREATE]), here.project)
        half = VolumeId("f" * 32)
        here.store.create_volume(half, here.project, DiskLimit(1 << 20, 100))
        with here.store._target.using(origin.id):
            layer = here.journal.checkpoint(origin.id, "c1").layer
            here.store.prepare(LayerKey("a-half"), layer, half)
            here.store.commit(LayerKey("a-half"), LayerName("l-half"))
        here.store.close_volume(half)
        parts = (here.journal, here.store, here.locks, here.logs)
        with here.locks.held(half):
            assert await asyncio.to_thread(remove_unowned, *parts) == ([], 0)
        removed, freed_bytes = await asyncio.to_thread(remove_unowned, *parts)
        assert removed == [half]
        assert freed_bytes > 0
        assert here.store.volumes() == [origin.id]
        assert here.content(origin.id, "new.txt") == b"new\n"


@pytest.mark.parametrize("what", ["execution", "branch"])
async def test_a_fork_made_while_another_process_collects_is_whole_or_leaves_nothing(tmp_path: Path, what: str) -> None:
    async with world(tmp_path) as here:
        here.commands["bad"] = Scripted(exit_code=1, effect=lambda tree: (tree / "junk").write_text("j"))
        steps = [CREATE, {"id": "b", "type": "command", "run": "bad"}]
        origin = await here.engine.execute_plan(plan_of(steps, on_failure="stop"), here.project)
        async with world(tmp_path) as other:
            engine: Any = here.engine
            write_on = engine._writer.write

            async def collect_first(change: Any) -> Any:
                """What stands on the origin is there by now, the fork's rows are not."""
                report = await collect(other, older_than=None if what == "execution" else DAY)
                assert report.executions + report.checkpoints == [
                    origin.id if what == "execution" else f"{origin.id}:c2"
                ]
                return await write_on(change)

            engine._writer.write = collect_first
            with pytest.raises(NotFoundError, match="checkpoint"):
                await here.engine.fork(origin.id, "b!failed")
            engine._writer.write = write_on
            await collect(other, older_than=DAY)
            if what == "execution":
                assert (here.store.volumes(), layers(here)) == ([], 0)
            else:
                assert (here.store.volumes(), layers(here)) == ([origin.id], 1)
                assert here.content(origin.id, "new.txt") == b"new\n"


def test_loose_layers_are_what_neither_a_checkpoint_nor_another_volume_needs_top_first() -> None:
    def row(name: str, volume: str, parent: str | None, kind: LayerKind = LayerKind.COMMITTED) -> Layer:
        return Layer(name, kind, VolumeId(volume), LayerName(parent) if parent else None, 1)

    one, two = VolumeId("one"), VolumeId("two")
    standing = Standing(
        [
            row("a", one, None),
            row("b", one, "a"),
            row("c", one, "b"),
            row("d", one, "c"),
            row("e", one, "a"),
            row("f", two, "b"),
            row("busy", one, "e", LayerKind.ACTIVE),
        ]
    )
    assert standing.loose([one], ()) == ["d", "c"]
    assert standing.loose([one], ("c",)) == ["d"]
    assert standing.loose([one, two], ("b",)) == ["f", "d", "c"]
    standing.forget_volume(two)
    standing.forget("busy")
    assert standing.loose([one], ()) == ["e", "d", "c", "b", "a"]


def _lose_a_checkpoint(here: World) -> None:
    """Take a row out behind the journal's back."""
    with closing(sqlite3.connect(here.home / "journal.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM checkpoints WHERE number=1")


async def test_a_damaged_journal_removes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.engine.execute_plan(plan_of([CREATE]), here.project)
        await asyncio.to_thread(_lose_a_checkpoint, here)
        layers = list(here.store.walk())
        for dry_run in (True, False):
            with pytest.raises(JournalCorruptError, match="rows are missing"):
                await collect(here, dry_run=dry_run)
        assert list(here.store.walk()) == layers != []


async def test_collecting_everything_says_that_a_paused_execution_stays(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        record = await here.engine.execute_plan(plan_of([CREATE]), here.project)
        await here.engine.rollback(record.id)
        report = await collect(here)
        assert report.executions == []
        assert report.skipped == [(record.id, PAUSED)]
