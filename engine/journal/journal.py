"""The journal: the one truth about executions, their steps, checkpoints and events.

Writes go through `Journal.transaction()`: what it holds is on the disk together or not at all, and its
events get their gap-free numbers in it. Layers live in the same file (`sandbox.workspace.register`), but a
checkpoint's row is what makes a layer part of an execution. What is read is compared with its seals and counts:
it is what was written, or JournalCorruptError. All methods block; async callers use a thread.
"""

from __future__ import annotations

import difflib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from engine.clock import Clock
from engine.errors import NotFoundError
from engine.events.types import Event, EventKind
from engine.journal import rows
from engine.journal.checking import read_ledger
from engine.journal.database import Database
from engine.journal.records import CheckpointRecord, ExecutionRecord, RequestRecord, StepRecord
from engine.journal.states import ExecutionState, StepState
from engine.journal.transaction import Transaction
from sandbox.workspace.sealed import SealBrokenError

__all__ = ["Journal", "Transaction"]

_COUNTED: Final = frozenset({EventKind.EXECUTION_STARTED, EventKind.EXECUTION_RESUMED, EventKind.EXECUTION_PROGRESS})
"""Events up to which `run_ms` counts the time."""
_LOOK_BACK: Final = 100
_HEX: Final = frozenset("0123456789abcdef")
_NEWEST: Final = "ORDER BY rowid DESC LIMIT ?"
"""In the order in which they were accepted, whatever the clock said then."""
_NEWEST_OF_NAME: Final = "WHERE rowid=(SELECT MAX(rowid) FROM executions WHERE name=?)"
_NEAR: Final = 200
"""Among so many of the newest executions, names that look alike are searched."""


class Journal:
    """Reads and transactions over the journal's tables."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All writes of the block or none; on the disk when it ends."""
        with self._database.transaction() as connection:
            yield Transaction(connection, self._clock.now())

    def check(self) -> None:
        """Read everything and compare it; what removes files that no row names asks this first.

        Raises JournalCorruptError. See `Database.check`.
        """
        self._database.check()

    def backup(self, directory: Path, keep: int = 3) -> Path:
        """Add a checked copy `journal-<UTC time>.db` to `directory` and keep the newest `keep`. The copy's path.

        Raises:
          JournalCorruptError: the journal is damaged; nothing is added and no earlier copy goes. OSError.
        """
        return self._database.backup(directory, self._clock.now(), keep)

    # -- executions ------------------------------------------------------------------------------

    def executions(self, limit: int = 50) -> list[ExecutionRecord]:
        """The newest first."""
        with self._database.reading() as connection:
            found = _executions(connection, _NEWEST, limit)
            if len(found) < limit:
                _require_all(connection, len(found))
        return found

    def in_state(self, *states: ExecutionState) -> list[ExecutionRecord]:
        """All executions in one of these states, oldest first."""
        marks = ",".join("?" * len(states))
        with self._database.reading() as connection:
            values = (state.value for state in states)
            found = _executions(connection, f"WHERE state IN ({marks}) ORDER BY rowid", *values)
            _require_found(all(record.state in states for record in found), "state")
        return found

    def paused_in_a_step(self) -> list[ExecutionRecord]:
        """The paused executions with a step that is running: its attempt stands still, or its process has died."""
        running = "EXISTS (SELECT 1 FROM steps WHERE execution_id=executions.id AND state=?)"
        values = (ExecutionState.PAUSED.value, StepState.RUNNING.value)
        with self._database.reading() as connection:
            found = _executions(connection, f"WHERE state=? AND {running} ORDER BY rowid", *values)
            _require_found(all(record.state is ExecutionState.PAUSED for record in found), "state")
        return found

    def is_in_a_step(self, execution_id: str) -> bool:
        """One of its steps is running. A look that does not check the rows: read them before acting on it."""
        with self._database.reading() as connection:
            query = "SELECT 1 FROM steps WHERE execution_id=? AND state=? LIMIT 1"
            return connection.execute(query, (execution_id, StepState.RUNNING.value)).fetchone() is not None

    def execution(self, execution_id: str) -> ExecutionRecord:
        """By its full id. Raises NotFoundError."""
        with self._database.reading() as connection:
            found = _executions(connection, "WHERE id=?", execution_id)
            if not found:
                _require_absent(connection, execution_id, by_id_alone=True)
                raise NotFoundError("execution", execution_id)
            _require_found(found[0].id == execution_id, "id")
        return found[0]

    def plan(self, execution_id: str) -> str:
        """The text of an execution's plan, as it was accepted. Raises NotFoundError: there is no such execution."""
        with self._database.reading() as connection:
            found = rows.select(connection, "plans", "WHERE execution_id=?", execution_id)
            if not found:
                self.execution(execution_id)
                raise SealBrokenError("plans", f"execution {execution_id} has none")
            if found[0][0] != execution_id:
                raise SealBrokenError("plans", "the order of its rows leads to another row")
        return str(found[0][1])

    def find(self, text: str) -> ExecutionRecord:
        """By id, unique prefix of an id, name (the newest of that name), or `last`.

        Raises:
          NotFoundError: nothing, or a prefix that more than one id has (`near` lists them).
        """
        with self._database.reading() as connection:
            if text == "last":
                found = _executions(connection, _NEWEST, 1)
            else:
                # Its own id first: no execution can take the place of another by its name.
                found = (
                    _executions(connection, "WHERE id=?", text)
                    or _executions(connection, _NEWEST_OF_NAME, text)
                    or _prefixed(connection, text)
                )
            if len(found) == 1:
                right = text in (found[0].name, "last") or found[0].id.startswith(text)
                _require_found(right, "name")
                return found[0]
            if found:
                raise NotFoundError("single execution", text, [record.id for record in found])
            _require_absent(connection, text)
            newest = connection.execute(f"SELECT name FROM executions {_NEWEST}", (_NEAR,)).fetchall()
        raise NotFoundError("execution", text, difflib.get_close_matches(text, [row[0] for row in newest], 3))

    def kept(self, execution_id: str) -> bool:
        """True when gc must not remove it."""
        with self._database.reading() as connection:
            found = rows.select(connection, "executions", "WHERE id=?", execution_id)
        return bool(found and found[0][-1])

    # -- steps, checkpoints, events --------------------------------------------------------------

    def elapsed_ms(self, record: ExecutionRecord) -> int:
        """Time in state running until now, whichever process drives it; good to the length of one step when
        that step's events are too many to look through."""
        if record.state is not ExecutionState.RUNNING:
            return record.run_ms
        latest = self.events(record.id, max(0, record.last_sequence - _LOOK_BACK), _LOOK_BACK)
        counted = [event for event in latest if event.kind in _COUNTED]
        since = (self._clock.now() - counted[-1].time) / timedelta(milliseconds=1) if counted else 0.0
        return record.run_ms + max(0, int(since))

    def steps(self, execution_id: str) -> list[StepRecord]:
        """In plan order."""
        with self._database.reading() as connection:
            found = rows.select(connection, "steps", "WHERE execution_id=? ORDER BY idx", execution_id)
            rows.require_whole(connection, "steps", execution_id, [row[1] for row in found])
        return [rows.step_from(row) for row in found]

    def checkpoints(self, execution_id: str) -> list[CheckpointRecord]:
        """In order of creation."""
        with self._database.reading() as connection:
            return rows.checkpoints(connection, execution_id)

    def checkpoint(self, execution_id: str, text: str) -> CheckpointRecord:
        """As `checkpoint_among` says. Raises NotFoundError with near names."""
        return checkpoint_among(self.checkpoints(execution_id), text)

    def events(self, execution_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """Events with a sequence above `after`, in order."""
        after = max(after, 0)
        with self._database.reading() as connection:
            tail = "WHERE execution_id=? AND sequence>? ORDER BY sequence LIMIT ?"
            found = rows.select(connection, "events", tail, execution_id, after, limit)
            last = connection.execute("SELECT last_sequence FROM executions WHERE id=?", (execution_id,)).fetchone()
            expected = max(0, min(limit, (last[0] if last else 0) - after))
            if [row[1] for row in found] != list(range(after + 1, after + 1 + expected)):
                raise SealBrokenError("events", f"execution {execution_id} has {len(found)} rows of {expected}")
        return [rows.event_from(row) for row in found]

    def baseline(self, execution_id: str) -> dict[bytes, dict[str, Any] | None]:
        """What the base had at each path that some layer changed, as recorded at the first change."""
        with self._database.reading() as connection:
            found = rows.select(connection, "baseline", "WHERE execution_id=?", execution_id)
            rows.require_whole(connection, "baseline", execution_id, [row[1] for row in found])
        return {bytes(path): json.loads(entry) for _, path, entry in found}

    # -- requests --------------------------------------------------------------------------------

    def request(self, request_id: str) -> RequestRecord | None:
        """The request that took effect under this id, if there is one and it is not forgotten."""
        with self._database.reading() as connection:
            return rows.request(connection, request_id)


def _executions(connection: sqlite3.Connection, tail: str, *values: Any) -> list[ExecutionRecord]:
    return [rows.execution_from(row) for row in rows.select(connection, "executions", tail, *values)]


def _prefixed(connection: sqlite3.Connection, text: str) -> list[ExecutionRecord]:
    """At most five whose id begins so. The letter after `f` ends the range, so that the index serves."""
    if not text or not _HEX.issuperset(text):
        return []
    return _executions(connection, "WHERE id>=? AND id<? ORDER BY id LIMIT 5", text, f"{text}g")


def checkpoint_among(records: Sequence[CheckpointRecord], text: str) -> CheckpointRecord:
    """The one with this id (`c3`), else the newest of this name. Raises NotFoundError with near names."""
    for wanted in ("id", "name"):
        for record in reversed(records):
            if text == getattr(record, wanted):
                return record
    names = [record.id for record in records] + [record.name for record in records]
    raise NotFoundError("checkpoint", text, difflib.get_close_matches(text, names, 3))


def _require_found(right: bool, index: str) -> None:
    """An index is no row and has no seal; what it leads to must be what was asked for."""
    if not right:
        raise SealBrokenError("executions", f"the index by {index} leads to another row")


def _require_all(connection: sqlite3.Connection, found: int) -> None:
    expected = read_ledger(connection).executions
    if found != expected:
        raise SealBrokenError("executions", f"it has {found} rows of {expected}")


def _require_absent(connection: sqlite3.Connection, text: str, *, by_id_alone: bool = False) -> None:
    """Raise SealBrokenError when an index does not find what the table has. Reads the table: only for a miss."""
    everything = connection.execute("SELECT id, name FROM executions NOT INDEXED").fetchall()
    _require_all(connection, len(everything))
    is_prefix = bool(text) and _HEX.issuperset(text)
    for execution_id, name in everything:
        if by_id_alone and execution_id != text:
            continue
        if text in (execution_id, name, "last") or (is_prefix and execution_id.startswith(text)):
            raise SealBrokenError("executions", f"the index does not find {execution_id}")
