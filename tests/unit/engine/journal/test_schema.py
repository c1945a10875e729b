"""A journal of an earlier version is brought up, keeps all it had, and is copied before."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.clock import ManualClock
from engine.errors import JournalVersionError
from engine.events.types import EventKind
from engine.journal.database import Database
from engine.journal.journal import Journal
from engine.journal.records import Request
from engine.journal.schema import SCHEMA_VERSION, SCRIPTS
from engine.journal.states import ExecutionState

A = "a" * 32


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


def columns(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT type, name, tbl_name FROM sqlite_master ORDER BY 1, 2").fetchall()


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
