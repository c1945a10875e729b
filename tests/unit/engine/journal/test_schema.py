"""A journal of an earlier version is brought up, keeps all it had, and is copied before."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.clock import ManualClock
from engine.errors import JournalCorruptError, JournalVersionError
from engine.events.types import EventKind
from engine.journal.backups import newest_good
from engine.journal.database import Database
from engine.journal.journal import Journal
from engine.journal.records import Request
from engine.journal.schema import SCHEMA_VERSION, SCRIPTS
from engine.journal.states import ExecutionState
from sandbox.workspace.sealed import install, schema_check
from tests.fakes.journal_world import flip

A, B = "a" * 32, "b" * 32
PLAN = '{"version": 1, "steps": "%s"}' % ("x" * 6000)
"""Longer than a page: it has overflow pages."""
AS_RELEASED = {
    1: "8eb44d73f1d0397fb446ede7a72242244a2e69cdcfa51dacbeff3369240747f2",
    2: "3d606da4950cbfacc0a6fe496f86ffa6b39f84fd3915089e65e26e486e277822",
    3: "18679d4bc1a230591bf1b630806f00becf68b941daa8e7fb07eb0ae2c3664370",
    4: "5ac2dd68e8498e3e9bbc6d133f6e082fe2263a6191374ba12e58cd23ad35db41",
}
"""SHA-256 of each version's script: a new version adds a line, no line ever changes."""


def version_1(path: Path) -> None:
    """A file as version 1 left it, with one execution."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        for statement in SCRIPTS[1]:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO executions VALUES (?,'plan','running','{}','d','/w',1,2,3,?,NULL,NULL,'c0','','','',1,'',0,0)",
            (A, ManualClock().now().isoformat()),
        )
        connection.execute(
            "INSERT INTO checkpoints VALUES (?,0,'start','automatic',NULL,NULL,NULL,?)",
            (A, ManualClock().now().isoformat()),
        )
        connection.execute(
            "INSERT INTO events VALUES (?,1,'step-started',?,'one','{}')", (A, ManualClock().now().isoformat())
        )
        connection.execute("PRAGMA user_version=1")


def version_3(path: Path) -> None:
    """A file as version 3 left it, with two executions, one of which has a long plan."""
    now = ManualClock().now().isoformat()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        install(connection)
        run = connection.execute
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA foreign_keys=ON")
        for version in (1, 2, 3):
            for statement in SCRIPTS[version]:
                run(statement)
        for execution_id, plan_json, kept in ((A, PLAN, 1), (B, "{}", 0)):
            run(
                "INSERT INTO executions (id, name, state, plan_json, plan_digest, workspace, workspace_dev,"
                " workspace_inode, start_ns, create_time, head, image_id, reason, lease, last_sequence, forked_from,"
                " run_ms, kept) VALUES (?,'plan','running',?,'d','/w',1,2,3,?,'c0','','','',1,'',0,?)",
                (execution_id, plan_json, now, kept),
            )
            run("INSERT INTO extents (execution_id, steps, checkpoints, baseline) VALUES (?,0,1,0)", (execution_id,))
            run(
                "INSERT INTO checkpoints (execution_id, number, name, kind, create_time)"
                " VALUES (?,0,'start','automatic',?)",
                (execution_id, now),
            )
            run(
                "INSERT INTO events (execution_id, sequence, kind, time, step_id, data)"
                " VALUES (?,1,'step-started',?,'one','{}')",
                (execution_id, now),
            )
        run("UPDATE ledger SET schema=?", (schema_check(connection),))
        run("PRAGMA user_version=3")


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def columns(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()


def test_an_earlier_version_keeps_its_rows_and_learns_the_new_tables(tmp_path: Path) -> None:
    version_1(tmp_path / "journal.db")
    database = Database(tmp_path / "journal.db")
    journal = Journal(database, ManualClock())
    assert journal.execution(A).state is ExecutionState.RUNNING
    assert [event.kind for event in journal.events(A)] == [EventKind.STEP_STARTED]
    assert journal.checkpoint(A, "start").number == 0
    with journal.transaction() as tx:
        tx.remember(Request("r", "pause", "digest"), A)
    database.close()
    Database(tmp_path / "new.db").close()
    assert columns(tmp_path / "journal.db") == columns(tmp_path / "new.db")


def test_what_is_migrated_is_copied_as_it_was_first(tmp_path: Path) -> None:
    version_1(tmp_path / "journal.db")
    Database(tmp_path / "journal.db").close()
    Database(tmp_path / "journal.db").close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "journal.db",
        "journal.db.version-1",
        "journal.mark",
    ]
    with closing(sqlite3.connect(tmp_path / "journal.db.version-1")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT id FROM executions").fetchall() == [(A,)]


def test_without_room_for_the_copy_nothing_is_migrated(tmp_path: Path) -> None:
    version_1(tmp_path / "journal.db")
    (tmp_path / "journal.db.version-1").mkdir()
    with pytest.raises(OSError):
        Database(tmp_path / "journal.db")
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


@pytest.mark.parametrize("version", [-1, SCHEMA_VERSION + 1])
def test_an_unknown_version_is_refused_and_not_touched(tmp_path: Path, version: int) -> None:
    path = tmp_path / "journal.db"
    Database(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version={version}")
    before = path.read_bytes()
    with pytest.raises(JournalVersionError) as error:
        Database(path)
    assert error.value.found == version
    assert path.read_bytes() == before


def test_scripts_that_are_out_are_as_they_were() -> None:
    """They, or what they are made from, may not change: files that older programs made must come the same way."""
    found = {version: hashlib.sha256(";\n".join(script).encode()).hexdigest() for version, script in SCRIPTS.items()}
    assert found == AS_RELEASED


def test_plans_leave_their_executions_rows(tmp_path: Path) -> None:
    version_3(tmp_path / "journal.db")
    with closing(Database(tmp_path / "journal.db")) as database:
        journal = Journal(database, ManualClock())
        assert (journal.plan(A), journal.plan(B)) == (PLAN, "{}")
        assert [record.id for record in journal.executions()] == [B, A], "in their order"
        assert (journal.kept(A), journal.kept(B)) == (True, False)
        assert [event.kind for event in journal.events(A)] == [EventKind.STEP_STARTED]
        journal.check()
        with journal.transaction() as tx:
            tx.move(A, ExecutionState.COMPLETED)
            tx.emit(A, EventKind.EXECUTION_COMPLETED)
            tx.delete_execution(B)
        journal.check()
        assert [record.state for record in journal.executions()] == [ExecutionState.COMPLETED]
    Database(tmp_path / "new.db").close()
    assert columns(tmp_path / "journal.db") == columns(tmp_path / "new.db")
    assert version_of(tmp_path / "journal.db.version-3") == 3


def lose_a_row(path: Path) -> None:
    """Behind the back of the counts and the keys."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name='executions_discounted'").fetchone()
        connection.execute("DROP TRIGGER executions_discounted")
        connection.execute("DELETE FROM executions WHERE id=?", (B,))
        connection.execute(sql)


def flipped(text: bytes) -> Callable[[Path], None]:
    return lambda path: flip(path, path.read_bytes().index(text), 0x01)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(flipped(b"planrunning"), id="an execution's row"),
        pytest.param(flipped(b'{"version": 1'), id="a plan"),
        pytest.param(flipped(b"x" * 2000), id="a plan's overflow page"),
        pytest.param(flipped(b"step-started"), id="a row that is not written again"),
        pytest.param(lose_a_row, id="a row that is gone"),
    ],
)
def test_what_is_damaged_is_not_migrated_and_not_sealed_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "journal.db"
    version_3(path)
    damage(path)
    before = path.read_bytes()
    with pytest.raises(JournalCorruptError):
        Database(path)
    assert path.read_bytes() == before
    assert not (tmp_path / "journal.db.version-3").exists()


def test_a_backup_of_an_earlier_version_is_still_a_good_one(tmp_path: Path) -> None:
    """Just after the program went on there is no other to go back to."""
    copy = tmp_path / "journal-backups/journal-20260101T000000.000000Z.db"
    copy.parent.mkdir()
    version_3(copy)
    assert newest_good(copy.parent) == copy
    shutil.copy(copy, tmp_path / "journal.db")
    with closing(Database(tmp_path / "journal.db")) as database:
        assert Journal(database, ManualClock()).plan(A) == PLAN
    flipped(b"planrunning")(copy)
    assert newest_good(copy.parent) is None
