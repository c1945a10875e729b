"""The journal's rows survive, its numbers have no gaps, its transactions are all or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from engine.clock import ManualClock
from engine.errors import (
    IllegalTransitionError,
    JournalCorruptError,
    JournalVersionError,
    NotFoundError,
    RequestReusedError,
)
from engine.events.types import EventKind
from engine.journal.database import Database
from engine.journal.journal import Journal
from engine.journal.records import CheckpointKind, ExecutionRecord, Request, RequestRecord, StepRecord
from engine.journal.states import ExecutionState, StepState
from sandbox.workspace.layer import LayerName

A, B = "a" * 32, "ab" + "c" * 30


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "journal.db")
    yield database
    database.close()


@pytest.fixture
def journal(database: Database) -> Journal:
    return Journal(database, ManualClock())


def execution(execution_id: str, name: str = "plan") -> ExecutionRecord:
    return ExecutionRecord(
        id=execution_id,
        name=name,
        state=ExecutionState.IDLE,
        plan_digest="d",
        workspace="/w",
        workspace_dev=1,
        workspace_inode=2,
        start_ns=3,
        create_time=ManualClock().now(),
    )


def add(journal: Journal, execution_id: str, name: str = "plan") -> None:
    record = execution(execution_id, name)
    with journal.transaction() as tx:
        tx.add_execution(record, "{}", [StepRecord(execution_id, 0, "one", "command", findings=[{"rule": "x"}])])
        tx.add_checkpoint(execution_id, "start", CheckpointKind.AUTOMATIC, None, None)


def test_rows_come_back_as_they_were_written(journal: Journal) -> None:
    add(journal, A)
    with journal.transaction() as tx:
        tx.move(A, ExecutionState.RUNNING)
        tx.move_step(A, 0, StepState.RUNNING, attempts=1)
        tx.move_step(A, 0, StepState.SUCCEEDED, exit_code=0, stdout_tail=b"\xff\x00", tests={"tests": 2})
        tx.add_checkpoint(A, "one", CheckpointKind.AUTOMATIC, LayerName("l1"), "c0", "one")
    step = journal.steps(A)[0]
    assert (step.state, step.attempts, step.exit_code) == (StepState.SUCCEEDED, 1, 0)
    assert step.stdout_tail == b"\xff\x00"
    assert step.findings == [{"rule": "x"}]
    assert step.tests == {"tests": 2}
    assert [c.id for c in journal.checkpoints(A)] == ["c0", "c1"]
    assert journal.checkpoint(A, "one").layer == "l1"
    assert journal.execution(A).state is ExecutionState.RUNNING


def _emit_and_fail(journal: Journal) -> None:
    """A transaction that writes something and then asks for a move that the table does not have."""
    with journal.transaction() as tx:
        tx.set_execution(A, reason="half")
        tx.emit(A, EventKind.STEP_STARTED, "one")
        tx.move(A, ExecutionState.COMPLETED)


def test_event_numbers_have_no_gaps_even_after_a_failed_transaction(journal: Journal) -> None:
    add(journal, A)
    with journal.transaction() as tx:
        tx.emit(A, EventKind.EXECUTION_STARTED)
    with pytest.raises(IllegalTransitionError):
        _emit_and_fail(journal)
    with journal.transaction() as tx:
        tx.emit(A, EventKind.STEP_STARTED, "one", attempt=1)
    events = journal.events(A)
    assert [event.sequence for event in events] == [1, 2]
    assert events[1].data == {"attempt": 1}
    assert [event.sequence for event in journal.events(A, after=1)] == [2]


def test_a_failed_transaction_leaves_nothing(journal: Journal) -> None:
    add(journal, A)
    with pytest.raises(IllegalTransitionError):
        _emit_and_fail(journal)
    assert journal.execution(A).reason == ""


def test_a_step_moves_only_as_the_table_says(journal: Journal) -> None:
    add(journal, A)
    with pytest.raises(IllegalTransitionError), journal.transaction() as tx:
        tx.move_step(A, 0, StepState.SUCCEEDED)


def test_find_takes_ids_prefixes_names_and_last(journal: Journal) -> None:
    add(journal, A, "fix")
    add(journal, B, "fix")
    assert journal.find(A).id == A
    assert journal.find("abc").id == B
    assert journal.find("last").id == B
    assert journal.find("fix").id == B
    with pytest.raises(NotFoundError) as ambiguous:
        journal.find("a")
    assert set(ambiguous.value.near) == {A, B}
    with pytest.raises(NotFoundError):
        journal.find("../etc")


def test_no_execution_takes_the_place_of_another_by_its_name(journal: Journal) -> None:
    add(journal, A, "fix")
    add(journal, B, A)
    assert journal.find(A).id == A


def test_what_the_baseline_holds_is_never_overwritten(journal: Journal) -> None:
    add(journal, A)
    with journal.transaction() as tx:
        tx.add_baseline(A, {b"x\xff": {"kind": "file"}})
    with journal.transaction() as tx:
        tx.add_baseline(A, {b"x\xff": None, b"y": None})
    assert journal.baseline(A) == {b"x\xff": {"kind": "file"}, b"y": None}


def test_rows_survive_reopening(tmp_path: Path) -> None:
    first = Database(tmp_path / "j.db")
    add(Journal(first, ManualClock()), A)
    first.close()
    second = Database(tmp_path / "j.db")
    assert Journal(second, ManualClock()).execution(A).name == "plan"
    second.close()


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(b"not a database at all, but long enough to have a header" * 40)
    with pytest.raises(JournalCorruptError) as error:
        Database(path)
    assert "keep it" in error.value.advice
    assert path.read_bytes().startswith(b"not a database")


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    database = Database(tmp_path / "j.db")
    database.connection.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(JournalVersionError) as error:
        Database(tmp_path / "j.db")
    assert error.value.found == 99


def test_a_request_is_found_again_with_its_answer(journal: Journal) -> None:
    request = Request("r1", "execute-plan", "digest")
    assert journal.request("r1") is None
    record = execution(A)
    with journal.transaction() as tx:
        tx.remember(request, A, result="answer")
        tx.add_execution(record, "{}", [])
    assert journal.request("r1") == RequestRecord("r1", "execute-plan", "digest", A, "answer", ManualClock().now())


@pytest.mark.parametrize(
    ("verb", "digest", "on"), [("pause", "digest", A), ("execute-plan", "other", A), ("execute-plan", "digest", B)]
)
def test_a_request_id_that_did_something_else_is_refused_and_nothing_is_written(
    journal: Journal, verb: str, digest: str, on: str
) -> None:
    add(journal, A)
    add(journal, B)
    with journal.transaction() as tx:
        tx.remember(Request("r1", "execute-plan", "digest"), A)
        tx.remember(Request("r1", "execute-plan", "digest"), A)
    with pytest.raises(RequestReusedError) as reused:
        _write_and_remember(journal, on, Request("r1", verb, digest))
    assert (reused.value.request_id, reused.value.execution_id) == ("r1", A)
    assert journal.execution(on).reason == ""


def _write_and_remember(journal: Journal, on: str, request: Request) -> None:
    with journal.transaction() as tx:
        tx.set_execution(on, reason="written")
        tx.remember(request, on)


def test_requests_go_with_their_execution(journal: Journal) -> None:
    add(journal, A)
    with journal.transaction() as tx:
        tx.remember(Request("r1", "execute-plan", "digest"), A)
    with journal.transaction() as tx:
        tx.delete_execution(A)
    assert journal.request("r1") is None


def test_old_requests_are_forgotten_by_their_time(database: Database) -> None:
    clock = ManualClock()
    journal = Journal(database, clock)
    add(journal, A)
    with journal.transaction() as tx:
        tx.remember(Request("old", "pause", "digest"), A)
    clock.advance(timedelta(days=1))
    with journal.transaction() as tx:
        tx.remember(Request("new", "pause", "digest"), A)
        tx.forget_requests(before=clock.now())
    assert journal.request("old") is None
    assert journal.request("new") is not None


def test_a_transaction_that_cannot_be_committed_leaves_the_journal_usable(journal: Journal) -> None:
    with pytest.raises(sqlite3.IntegrityError), journal.transaction() as tx:
        tx.remember(Request("r1", "pause", "digest"), "no such execution")
    add(journal, A)
    assert journal.execution(A).id == A
    assert journal.request("r1") is None


def test_the_time_of_a_running_execution_goes_on_and_stands_still_when_it_is_paused(database: Database) -> None:
    clock = ManualClock()
    journal = Journal(database, clock)
    add(journal, A)
    assert journal.elapsed_ms(journal.execution(A)) == 0
    with journal.transaction() as tx:
        tx.move(A, ExecutionState.RUNNING)
        tx.emit(A, EventKind.EXECUTION_STARTED)
    clock.advance(timedelta(seconds=2))
    assert journal.elapsed_ms(journal.execution(A)) == 2000
    with journal.transaction() as tx:
        tx.set_execution(A, run_ms=1900)
        tx.emit(A, EventKind.EXECUTION_PROGRESS)
        tx.emit(A, EventKind.STEP_STARTED, "two")
    clock.advance(timedelta(seconds=3))
    assert journal.elapsed_ms(journal.execution(A)) == 4900
    with journal.transaction() as tx:
        tx.move(A, ExecutionState.PAUSED)
    clock.advance(timedelta(seconds=5))
    assert journal.elapsed_ms(journal.execution(A)) == 1900


def test_an_error_of_who_writes_is_not_taken_for_damage(journal: Journal) -> None:
    with pytest.raises(UnicodeDecodeError), journal.transaction():
        b"\xff".decode()
