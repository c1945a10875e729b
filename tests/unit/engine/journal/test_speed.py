"""With a long history the journal reads what was asked for, by an index, and not everything."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine.clock import ManualClock
from engine.execution.locks import ExecutionLocks
from engine.execution.logs import LogStore
from engine.execution.recovery import Recovery
from engine.journal.database import Database
from engine.journal.journal import Journal
from engine.journal.states import ExecutionState
from sandbox.workspace.copying import CopyingLayerStore
from tests.fakes.journal_world import IDS, make

SCANS = ("SCAN ledger",)
"""A table of one row."""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[tuple[Journal, list[str], sqlite3.Connection]]:
    """A journal, and the statements that it runs from here on."""
    make(tmp_path)
    seen: list[str] = []
    with closing(Database(tmp_path / "journal.db")) as database:
        database.connection.set_trace_callback(seen.append)
        yield Journal(database, ManualClock()), seen, database.connection
        database.connection.set_trace_callback(None)


def plans(seen: list[str], connection: sqlite3.Connection) -> list[str]:
    """How SQLite goes about each statement; statements come with their values in them."""
    connection.set_trace_callback(None)
    found = []
    for statement in seen:
        if "FROM executions ORDER BY rowid DESC LIMIT" in statement:
            continue  # the last rows of the table, as many as are asked for
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            found += [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    return found


def test_reading_uses_indexes(journal: tuple[Journal, list[str], sqlite3.Connection], tmp_path: Path) -> None:
    reads, seen, connection = journal
    reads.in_state(ExecutionState.PAUSED, ExecutionState.IDLE)
    reads.executions(1)
    reads.execution(IDS[0])
    for text in ("last", "plan-1", IDS[0][:5], IDS[0]):
        reads.find(text)
    for execution_id in IDS:
        reads.steps(execution_id)
        reads.checkpoints(execution_id)
        reads.events(execution_id, after=2)
        reads.baseline(execution_id)
        reads.request("request-1")
        reads.request("unknown")
        reads.kept(execution_id)
        reads.plan(execution_id)
    store = CopyingLayerStore(tmp_path / "store")
    Recovery(reads, store, ExecutionLocks(tmp_path / "locks"), LogStore(tmp_path / "logs")).all()
    store.close()
    used = plans(seen, connection)
    assert len(used) > 30
    scans = [plan for plan in used if plan.startswith("SCAN ") and "USING INDEX" not in plan]
    assert [plan for plan in scans if not plan.startswith(SCANS)] == []


def test_the_newest_are_found_without_sorting(journal: tuple[Journal, list[str], sqlite3.Connection]) -> None:
    reads, seen, connection = journal
    reads.executions(1)
    reads.find("plan-1")
    assert [plan for plan in plans(seen, connection) if "TEMP B-TREE" in plan] == []
