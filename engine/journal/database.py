"""Opens the journal's SQLite file and runs transactions on it.

One connection a process, used by any thread under one lock. WAL with `synchronous=FULL`: when a
transaction returns, it is on the disk. Several processes may have the file open; writers wait for each
other for at most `BUSY_TIMEOUT_S`. A damaged file is refused with advice, never repaired in place.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engine.errors import JournalCorruptError, JournalVersionError
from engine.journal.copying import copy_database
from engine.journal.schema import SCHEMA_VERSION, SCRIPTS
from sandbox.errors import StoreBusyError

BUSY_TIMEOUT_S: Final = 20.0


class Database:
    """The open file. `connection` and `lock` may be shared with tables that others keep in it."""

    def __init__(self, path: Path) -> None:
        """Open or create.

        Raises:
          JournalCorruptError: not a database, or damaged. JournalVersionError: written by another version.
          StoreBusyError: another process held it longer than BUSY_TIMEOUT_S.
        """
        self.path = path
        self.lock = threading.RLock()
        self.connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            with self._typed_errors():
                self._prepare()
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self) -> None:
        run = self.connection.execute
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        run("PRAGMA foreign_keys=ON")
        if self._version() != SCHEMA_VERSION:
            self._migrate()

    def _version(self) -> int:
        (found,) = self.connection.execute("PRAGMA user_version").fetchone()
        if not 0 <= found <= SCHEMA_VERSION:
            raise JournalVersionError(str(self.path), found, SCHEMA_VERSION)
        return int(found)

    def _migrate(self) -> None:
        """Bring the file to this version in one transaction; what an earlier one wrote is copied beside it first."""
        with self._transaction():
            found = self._version()  # again: another process may have been first
            if 0 < found < SCHEMA_VERSION:
                # Nobody can write meanwhile, so the copy holds all that the migration starts from.
                copy_database(self.path, self.path.with_name(f"{self.path.name}.version-{found}"))
            for version in range(found + 1, SCHEMA_VERSION + 1):
                for statement in _statements(SCRIPTS[version]):
                    self.connection.execute(statement)
            self.connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreBusyError(f"{self.path} is held by another process") from error
            raise
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise JournalCorruptError(
                    str(self.path), str(error), "move it away (with its -wal and -shm files) and keep it"
                ) from error
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: all or nothing, on the disk when the block is left without error."""
        with self.lock, self._typed_errors(), self._transaction():
            yield self.connection

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            # Some errors (no room, for one) have ended it already; an error of COMMIT has not.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Use the connection for reads; another thread's transaction never shows half done."""
        with self.lock, self._typed_errors():
            yield self.connection

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self.lock:
            self.connection.close()


def _statements(script: str) -> list[str]:
    return [statement for statement in script.split(";\n") if statement.strip()]
