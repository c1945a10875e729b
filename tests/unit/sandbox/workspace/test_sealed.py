"""A row is what was written, or its seal is broken; who changes a row seals it, but never one that is broken."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from sandbox.workspace.sealed import SealBrokenError, check_tables, damage_noticed, install, seal, sealing, verified


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        install(connection)
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT, number REAL, bytes BLOB, chk INTEGER)")
        for statement in sealing("t", ("id", "text", "number", "bytes"), ("id",)):
            connection.execute(statement)
        connection.execute("INSERT INTO t (id, text, number, bytes) VALUES (1, 'e\u00e4\U0001f40d', 3, x'00ff')")
        connection.execute("INSERT INTO t (id) VALUES (2)")
        yield connection


def damage(connection: sqlite3.Connection, statement: str) -> None:
    """As the disk would: past the triggers."""
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type='trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    for _, sql in triggers:
        connection.execute(sql)


def rows(connection: sqlite3.Connection) -> list[list[object]]:
    return [list(row) for row in verified("t", connection.execute("SELECT * FROM t").fetchall())]


def test_rows_come_back_without_their_seal(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE t SET number = 4 WHERE id = 2")
    assert rows(connection) == [[1, "e\u00e4\U0001f40d", 3.0, b"\x00\xff"], [2, None, 4.0, None]]
    check_tables(connection)


@pytest.mark.parametrize(
    "change", ["text = ''", "text = 'x'", "number = NULL", "number = 3.5", "bytes = x''", "bytes = x'00fe'", "chk = 0"]
)
def test_any_change_past_the_triggers_breaks_the_seal(connection: sqlite3.Connection, change: str) -> None:
    damage(connection, f"UPDATE t SET {change} WHERE id = 1")
    with pytest.raises(SealBrokenError):
        rows(connection)
    with pytest.raises(SealBrokenError):
        check_tables(connection)


def test_a_broken_row_cannot_be_changed_and_so_sealed(connection: sqlite3.Connection) -> None:
    damage(connection, "UPDATE t SET text = 'x' WHERE id = 1")
    with pytest.raises(SealBrokenError) as error, damage_noticed():
        connection.execute("UPDATE t SET number = 5")
    assert error.value.table == "t"
    connection.execute("UPDATE t SET number = 5 WHERE id = 2")


def test_bytes_that_are_no_text_any_more_are_damage(connection: sqlite3.Connection) -> None:
    damage(connection, "UPDATE t SET text = CAST(x'ff' AS TEXT) WHERE id = 1")
    with pytest.raises(SealBrokenError), damage_noticed():
        rows(connection)
    with pytest.raises(SealBrokenError), damage_noticed():
        connection.execute("UPDATE t SET number = 5")


def test_errors_that_are_no_damage_pass(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError), damage_noticed():
        connection.execute("INSERT INTO t (id) VALUES (1)")


def test_seals_are_the_same_for_ever() -> None:
    """They are on people's disks."""
    assert seal("t", 1, "e\u00e4\U0001f40d", 3.0, b"\x00\xff", None) == 3879376265
    assert len({seal("t", value) for value in (None, "", b"", 0, "0", 0.0, "None", b"0")}) == 8
