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
from sandbox.errors import StoreBusyError

SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_S: Final = 20.0

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS executions (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, plan_json TEXT NOT NULL,
  plan_digest TEXT NOT NULL, workspace TEXT NOT NULL, workspace_dev INTEGER NOT NULL,
  workspace_inode INTEGER NOT NULL, start_ns INTEGER NOT NULL, create_time TEXT NOT NULL,
  start_time TEXT, end_time TEXT, head TEXT NOT NULL, image_id TEXT NOT NULL, reason TEXT NOT NULL,
  lease TEXT NOT NULL, last_sequence INTEGER NOT NULL, forked_from TEXT NOT NULL,
  run_ms INTEGER NOT NULL, kept INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS executions_by_time ON executions(create_time);
CREATE TABLE IF NOT EXISTS steps (
  execution_id TEXT NOT NULL REFERENCES executions(id) ON DELETE CASCADE, idx INTEGER NOT NULL,
  id TEXT NOT NULL, type TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
  exit_code INTEGER, verdict TEXT, detail TEXT NOT NULL, duration_ms REAL, overhead_ms REAL,
  checkpoint TEXT, findings TEXT NOT NULL, tests TEXT, usage TEXT NOT NULL,
  stdout_tail BLOB NOT NULL, stderr_tail BLOB NOT NULL, PRIMARY KEY (execution_id, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints (
  execution_id TEXT NOT NULL REFERENCES executions(id) ON DELETE CASCADE, number INTEGER NOT NULL,
  name TEXT NOT NULL, kind TEXT NOT NULL, layer TEXT, parent TEXT, step_id TEXT,
  create_time TEXT NOT NULL, PRIMARY KEY (execution_id, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS baseline (
  execution_id TEXT NOT NULL REFERENCES executions(id) ON DELETE CASCADE, path BLOB NOT NULL,
  entry TEXT NOT NULL, PRIMARY KEY (execution_id, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
  execution_id TEXT NOT NULL REFERENCES executions(id) ON DELETE CASCADE, sequence INTEGER NOT NULL,
  kind TEXT NOT NULL, time TEXT NOT NULL, step_id TEXT, data TEXT NOT NULL,
  PRIMARY KEY (execution_id, sequence)) WITHOUT ROWID;
"""


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
        (found,) = run("PRAGMA user_version").fetchone()
        if found not in (0, SCHEMA_VERSION):
            raise JournalVersionError(str(self.path), found, SCHEMA_VERSION)
        if found == 0:
            self.connection.executescript(f"BEGIN IMMEDIATE;{SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")

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
        with self.lock, self._typed_errors():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Use the connection for reads; another thread's transaction never shows half done."""
        with self.lock, self._typed_errors():
            yield self.connection

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self.lock:
            self.connection.close()
