"""Opens the journal's SQLite file and runs transactions on it.

One connection a process, used by any thread under one lock. WAL with `synchronous=FULL`: when a transaction
returns, it is on the disk, and the mark beside the file says so. Several processes may have the file open;
writers wait for each other for at most `BUSY_TIMEOUT_S`. A damaged file is refused with advice, never repaired in
place: before it is opened for writing (`inspection`), when a row is read, and in full when asked (`check`).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from engine.errors import JournalVersionError
from engine.journal import backups
from engine.journal.checking import check_all, check_within, read_ledger
from engine.journal.inspection import SEALED_SINCE, damaged, inspect, mark_path, typed_errors
from engine.journal.mark import Mark, Marked
from engine.journal.schema import SCHEMA_VERSION, SCRIPTS
from sandbox.workspace.sealed import install, schema_check

BUSY_TIMEOUT_S: Final = 20.0
_RETRY_S: Final = 0.01
LOG_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""To this the write-ahead log goes back when no reader holds it any more."""


class Database:
    """The open file. `connection` and `lock` may be shared with tables that others keep in it."""

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        """Open or create.

        Raises:
          JournalCorruptError: not a database, damaged, or gone. JournalVersionError: written by another version.
          StoreBusyError: another process held it longer than `busy_timeout_s`.
          HostDiskFullError, EnvironmentUnfitError: the disk has no room; the file cannot be read or written.
        """
        self.path = path
        self.lock = threading.RLock()
        inspect(path, busy_timeout_s)
        with typed_errors(path):
            self.connection = sqlite3.connect(
                path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
            )
        try:
            with typed_errors(path):
                self._prepare(busy_timeout_s)
                with self.reading():
                    ledger = read_ledger(self.connection)
            self._mark = Mark(mark_path(path), Marked(ledger.journal_id, ledger.commits))
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self, busy_timeout_s: float) -> None:
        install(self.connection)
        run = self.connection.execute
        self._write_ahead(busy_timeout_s)
        run("PRAGMA synchronous=FULL")
        run("PRAGMA foreign_keys=ON")
        run(f"PRAGMA journal_size_limit={LOG_LIMIT_BYTES}")
        if self._version() != SCHEMA_VERSION:
            self._migrate()

    def _write_ahead(self, busy_timeout_s: float) -> None:
        """Switch to WAL. SQLite does not wait by itself where two processes make the switch at once: one is refused."""
        deadline = time.monotonic() + busy_timeout_s
        while True:
            try:
                self.connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(_RETRY_S)
            else:
                return

    def _version(self) -> int:
        (found,) = self.connection.execute("PRAGMA user_version").fetchone()
        if not 0 <= found <= SCHEMA_VERSION:
            raise JournalVersionError(str(self.path), found, SCHEMA_VERSION)
        return int(found)

    def _migrate(self) -> None:
        """Bring the file to this version in one transaction; what an earlier one wrote is copied beside it first.

        What has seals is checked in full before, because a row that a script writes again gets a new seal.
        """
        with self._transaction():
            found = self._version()  # again: another process may have been first
            if SEALED_SINCE <= found < SCHEMA_VERSION:
                check_within(self.connection)
            if 0 < found < SCHEMA_VERSION:
                # Nobody can write meanwhile, so the copy holds all that the migration starts from.
                backups.copy_database(self.path, self.path.with_name(f"{self.path.name}.version-{found}"))
            for version in range(found + 1, SCHEMA_VERSION + 1):
                for statement in SCRIPTS[version]:
                    self.connection.execute(statement)
            if found < SCHEMA_VERSION:
                self.connection.execute("UPDATE ledger SET schema=?", (schema_check(self.connection),))
                self.connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: all or nothing, on the disk when the block is left without error."""
        with self.lock, typed_errors(self.path, ours=False):
            with self._transaction():
                row = self.connection.execute("UPDATE ledger SET commits=commits+1 RETURNING commits").fetchone()
                if row is None:
                    raise damaged(self.path, "its ledger is gone")
                yield self.connection
            with suppress(OSError):  # it is committed, and a mark that stays behind is still a lower bound
                self._mark.advance(row[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        """End the transaction. Some errors (no room, for one) have ended it already; an error of COMMIT has not."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Use the connection for reads of one state of the file, whoever writes meanwhile."""
        with self.lock, typed_errors(self.path):
            if self.connection.in_transaction:  # this thread's own: it sees what it has written
                yield self.connection
                return
            self.connection.execute("BEGIN")
            try:
                yield self.connection
            finally:
                self._give_up()  # nothing was written

    def check(self) -> None:
        """Read everything and compare it with all that is known of it; others may work meanwhile.

        Takes time in proportion to the file (0.7 s of processor time for 60 MiB). Raises JournalCorruptError.
        """
        inspect(self.path, BUSY_TIMEOUT_S)
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        with (
            typed_errors(self.path),
            closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as reader,
        ):
            check_all(reader)

    def backup(self, directory: Path, now: datetime, keep: int = 3) -> Path:
        """Add a checked copy to `directory` and keep the newest `keep`; others may work meanwhile.

        Raises:
          JournalCorruptError: the journal is damaged; nothing is added and no earlier copy goes. OSError.
        """
        self._mark.sync()
        inspect(self.path, BUSY_TIMEOUT_S)
        with typed_errors(self.path):
            return backups.backup(self.path, directory, now, keep)

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self.lock:
            self.connection.close()
            self._mark.close()
