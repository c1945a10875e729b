"""Looks at a journal before anybody writes to it, and refuses a damaged one. Reads only; bounded: a few milliseconds.

What it finds: no file or an empty one where there was one, another file, an older state of the file than was
acknowledged, another schema, what SQLite finds on the pages it reads. Everything else is found by who reads it
(each row has a seal), or by a full check.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from engine.errors import EnvironmentUnfitError, JournalCorruptError, JournalVersionError
from engine.journal.backups import advice
from engine.journal.checking import read_ledger
from engine.journal.mark import MarkDamagedError, Marked, read_mark
from engine.journal.schema import SCHEMA_VERSION
from sandbox.errors import HostDiskFullError, StoreBusyError
from sandbox.workspace.sealed import SealBrokenError, damage_noticed, schema_check

_PAGE_BYTES: Final = 4096
SEALED_SINCE: Final = 3
"""Versions before have neither seals nor ledger."""
_WITNESSES: Final = ("volumes", "journal-backups", "applies")
"""Directories beside the journal which hold nothing while there is none."""


def mark_path(path: Path) -> Path:
    return path.with_suffix(".mark")


def damaged(path: Path, reason: str) -> JournalCorruptError:
    """The error that says what is wrong with the journal at `path`, and what to type."""
    return JournalCorruptError(str(path), reason, advice(path))


@contextmanager
def typed_errors(path: Path, *, ours: bool = True) -> Iterator[None]:
    """SQLite's errors as the errors of the tree. ours: the block is the journal's own, not a caller's.

    Raises:
      JournalCorruptError: it is damaged. StoreBusyError: another process holds it for too long.
      HostDiskFullError: no room to write. EnvironmentUnfitError: it cannot be opened, read or written.
    """
    try:
        with damage_noticed(ours=ours):
            yield
    except SealBrokenError as error:
        raise damaged(path, str(error)) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreBusyError(f"{path} is held by another process") from error
        if code == sqlite3.SQLITE_FULL:
            room = os.statvfs(path.parent)
            raise HostDiskFullError(f"the journal {path}", _PAGE_BYTES, room.f_bavail * room.f_frsize) from error
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise EnvironmentUnfitError(
                f"the journal {path} cannot be read or written: {error}",
                "see that its directory is writable and its disk has room and no errors",
            ) from error
        raise


def inspect(path: Path, busy_timeout_s: float) -> None:
    """Refuse what must not be opened for writing. A file that is refused is as it was.

    Raises:
      JournalVersionError: written by another version; and what `typed_errors` says.
    """
    try:
        marked = read_mark(mark_path(path))  # before the journal, which may go on meanwhile
    except MarkDamagedError as error:
        raise damaged(path, f"its mark {error.path} cannot be read") from error
    if not path.exists() or path.stat().st_size == 0:
        how = "is empty" if path.exists() else "is missing"
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise damaged(path, f"the file {how}, but its log {log.name} is there")
        _refuse_if_there_was_one(path, marked, how)
        return
    with (
        typed_errors(path),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=busy_timeout_s)) as reader,
    ):
        reader.execute("BEGIN")
        (version,) = reader.execute("PRAGMA user_version").fetchone()
        if not 0 <= version <= SCHEMA_VERSION:
            raise JournalVersionError(str(path), version, SCHEMA_VERSION)
        if version == 0:
            (tables,) = reader.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            if tables:
                raise damaged(path, "it has tables, but not the journal's")
            _refuse_if_there_was_one(path, marked, "has no tables")
        elif version >= SEALED_SINCE:
            _compare(path, reader, marked)
        elif marked is not None:
            raise damaged(path, "it is of an earlier version than its mark")
        else:
            (found,) = reader.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise damaged(path, found)


def _refuse_if_there_was_one(path: Path, marked: Marked | None, how: str) -> None:
    if marked is not None:
        raise damaged(path, f"the file {how}, but there was one with {marked.commits} transactions")
    for name in _WITNESSES:
        place = path.with_name(name)
        if place.is_dir() and any(place.iterdir()):
            raise damaged(path, f"the file {how}, but there are {name} beside it")


def _compare(path: Path, reader: sqlite3.Connection, marked: Marked | None) -> None:
    ledger = read_ledger(reader)
    if ledger.schema != schema_check(reader):
        raise damaged(path, "its schema is not what this program made")
    if marked is None:
        return
    if marked.journal_id != ledger.journal_id:
        raise damaged(
            path, f"it is another journal ({ledger.journal_id}) than its mark speaks of ({marked.journal_id})"
        )
    if ledger.commits < marked.commits:
        raise damaged(path, f"it holds {ledger.commits} transactions, but {marked.commits} were acknowledged")
