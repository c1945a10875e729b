"""Rows of SQLite tables that carry a check of their own, because SQLite does not notice a flipped bit in a value.

The last column of a sealed table is `chk`, a CRC-32 over the table's name and the row's other columns. Triggers
keep it up: an insert or update seals the row, and an update of a row whose seal is broken is refused, so that
damage is never sealed in. Who reads compares (`verified`). A connection that writes needs `install`; reading
with any tool works without. Damage is `SealBrokenError`, from which the owner of the file makes an error that
says what to do.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

_AT_ONCE: Final = 256
_MISSING: Final = ("malformed", "no such", "table ", "unrecognized token", "no query solution")
_BROKEN: Final = "broken seal of a row in"


class SealBrokenError(Exception):
    """`table` ("unknown" when that cannot be told) is not what was written: `reason`."""

    def __init__(self, table: str, reason: str = "a row is not what was written") -> None:
        super().__init__(reason if table == "unknown" else f"table {table}: {reason}")
        self.table = table
        self.reason = reason


def seal(*values: str | bytes | float | None) -> int:
    """The check over values as SQLite returns them. The same in every version: it is on people's disks."""
    parts = []
    for value in values:
        if isinstance(value, str):
            parts.append(value)
        elif value is None:
            parts.append("\1")
        elif isinstance(value, bytes):
            parts.append(f"\2{len(value)}:{zlib.crc32(value)}")
        else:
            parts.append(f"\3{value!r}")
    return zlib.crc32("\0".join(parts).encode())


def install(connection: sqlite3.Connection) -> None:
    """Make this connection able to write sealed tables."""
    connection.create_function("seal", -1, seal, deterministic=True)


def sealing(table: str, columns: Sequence[str], key: Sequence[str]) -> list[str]:
    """The statements that make triggers for a table with these columns and `chk` after them."""

    def sealed(row: str) -> str:
        return f"seal('{table}', {', '.join(row + column for column in columns)})"

    at = " AND ".join(f"{column} = NEW.{column}" for column in key)
    again = f"BEGIN UPDATE {table} SET chk = {sealed('')} WHERE {at}; END"
    written = ", ".join(columns)
    return [
        f"CREATE TRIGGER {table}_sealed AFTER INSERT ON {table} {again}",
        f"CREATE TRIGGER {table}_resealed AFTER UPDATE OF {written} ON {table} {again}",
        f"CREATE TRIGGER {table}_intact BEFORE UPDATE OF {written} ON {table}"
        f" WHEN OLD.chk IS NOT {sealed('OLD.')} BEGIN SELECT RAISE(ABORT, '{_BROKEN} {table}'); END",
    ]


def verified(table: str, rows: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
    """Whole rows (`chk` last) without their check. Raises SealBrokenError."""
    found: list[Sequence[Any]] = []
    for row in rows:
        *values, check = row
        if seal(table, *values) != check:
            raise SealBrokenError(table)
        found.append(values)
    return found


@contextmanager
def damage_noticed(*, ours: bool = True) -> Iterator[None]:
    """Every way in which SQLite and its seals tell of damage, as SealBrokenError; other errors pass.

    ours: the block runs nothing but statements and what comes with them.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        # The interpreter cannot read the message in which SQLite names what it found.
        if not ours and not error.object.startswith(b"malformed"):
            raise
        raise SealBrokenError("unknown", error.object.decode(errors="backslashreplace")) from error
    except sqlite3.Error as error:
        broken = broken_seal(error)
        if broken is None:
            raise
        raise broken from error


def broken_seal(error: sqlite3.Error) -> SealBrokenError | None:
    """What an SQLite error says about damage; None when it is about something else."""
    text = str(error)
    code = getattr(error, "sqlite_errorcode", None)
    if text.startswith(_BROKEN):
        return SealBrokenError(text.removeprefix(_BROKEN).strip())
    if code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return SealBrokenError("unknown", text)
    # Bytes that are not text any more where a text was: only damage makes them.
    if "decode to UTF-8" in text or text == "user-defined function raised exception":
        return SealBrokenError("unknown", "a text is not text any more")
    # The statements are constant: what they name can be missing from a damaged schema only.
    if code == sqlite3.SQLITE_ERROR and text.startswith(_MISSING):
        return SealBrokenError("unknown", f"the schema is not what it was: {text}")
    return None


def schema_check(connection: sqlite3.Connection) -> int:
    """A check over the texts that make the file's tables, indexes and triggers."""
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\'"
        " ORDER BY type, name"
    )
    return seal(*(value for row in rows for value in row))


def check_tables(connection: sqlite3.Connection) -> None:
    """Read every row of every sealed table, and what SQLite checks by itself (pages, order, indexes).

    Takes time in proportion to the file. Raises SealBrokenError, and what `damage_noticed` makes one.
    """
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise SealBrokenError("unknown", " ".join(str(found).split()))
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise SealBrokenError("unknown", "rows belong to a row that is missing")
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        if any(row[1] == "chk" for row in connection.execute(f"PRAGMA table_info({table})")):
            rows = connection.execute(f"SELECT * FROM {table} NOT INDEXED")
            while some := rows.fetchmany(_AT_ONCE):
                verified(table, some)
