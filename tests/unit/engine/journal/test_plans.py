"""A plan's text is written once and read where it is wanted, however long it is; one that is gone is missed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.clock import ManualClock
from engine.errors import JournalCorruptError, NotFoundError
from engine.events.types import EventKind
from engine.journal.database import Database
from engine.journal.journal import Journal
from engine.journal.records import CheckpointKind, StepRecord
from engine.journal.states import ExecutionState
from tests.fakes.journal_world import IDS, make, plan_json, record_of, run_step

A = "a" * 32


def logged(home: Path, plan: str) -> list[int]:
    """Bytes that a change of state, an event and a step of an execution of this plan put into the log."""
    home.mkdir()
    clock = ManualClock()
    with closing(Database(home / "journal.db")) as database:
        journal = Journal(database, clock)
        with journal.transaction() as tx:
            tx.add_execution(record_of(A, clock), plan, [StepRecord(A, 0, "step-0", "command")])
            tx.add_checkpoint(A, "start", CheckpointKind.AUTOMATIC, None, None)

        def grown() -> int:
            size = (home / "journal.db-wal").stat().st_size
            database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return size

        grown()
        with journal.transaction() as tx:
            tx.move(A, ExecutionState.RUNNING)
        moved = grown()
        with journal.transaction() as tx:
            tx.emit(A, EventKind.EXECUTION_PROGRESS)
        emitted = grown()
        run_step(journal, A, 0)
        return [moved, emitted, grown()]


def test_what_a_step_writes_does_not_grow_with_the_plan(tmp_path: Path) -> None:
    short, long = logged(tmp_path / "short", "{}"), logged(tmp_path / "long", "x" * 1_000_000)
    assert short == long
    assert all(0 < size < 100_000 for size in long)


def test_only_who_wants_a_plan_reads_it(tmp_path: Path) -> None:
    make(tmp_path)
    seen: list[str] = []
    with closing(Database(tmp_path / "journal.db")) as database:
        journal = Journal(database, ManualClock())
        database.connection.set_trace_callback(seen.append)
        journal.executions()
        journal.in_state(ExecutionState.RUNNING)
        journal.find("last")
        journal.find("plan-1")
        journal.steps(IDS[0])
        journal.elapsed_ms(journal.execution(IDS[0]))
        run_step(journal, IDS[0], 2)
        assert [statement for statement in seen if "plans" in statement] == []
        journal.plan(IDS[0])
        assert [statement for statement in seen if "plans" in statement] != []


def test_a_plan_is_given_as_it_was_accepted_and_goes_with_its_execution(tmp_path: Path) -> None:
    make(tmp_path)
    with closing(Database(tmp_path / "journal.db")) as database:
        journal = Journal(database, ManualClock())
        assert [journal.plan(execution_id) for execution_id in IDS] == [plan_json(0), plan_json(1)]
        with journal.transaction() as tx:
            tx.delete_execution(IDS[0])
        with pytest.raises(NotFoundError):
            journal.plan(IDS[0])
        assert database.connection.execute("SELECT execution_id FROM plans").fetchall() == [(IDS[1],)]
        journal.check()


def test_a_plan_that_is_gone_is_missed(tmp_path: Path) -> None:
    make(tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM plans WHERE execution_id=?", (IDS[0],))
    with closing(Database(tmp_path / "journal.db")) as database:
        journal = Journal(database, ManualClock())
        with pytest.raises(JournalCorruptError, match="plans"):
            journal.plan(IDS[0])
        with pytest.raises(JournalCorruptError, match="plans"):
            journal.check()
        assert journal.plan(IDS[1]) == plan_json(1)
