"""The journal: the one truth about executions, their steps, checkpoints and events.

Writes go through `Journal.transaction()`: what it holds is on the disk together or not at all, and its
events get their gap-free numbers in it. Layers live in the same file (`sandbox.workspace.index`), but a
checkpoint's row is what makes a layer part of an execution. All methods block; async callers use a thread.
"""

from __future__ import annotations

import difflib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Final

from engine.clock import Clock
from engine.errors import NotFoundError, RequestReusedError
from engine.events.types import Event, EventKind
from engine.journal.database import Database
from engine.journal.records import (
    CheckpointKind,
    CheckpointRecord,
    ExecutionRecord,
    Request,
    RequestRecord,
    StepRecord,
)
from engine.journal.states import ExecutionState, StepState, check_move
from sandbox.workspace.layer import LayerName

_EXECUTION_COLUMNS: Final = tuple(field.name for field in fields(ExecutionRecord))
_STEP_COLUMNS: Final = tuple("idx" if f.name == "index" else f.name for f in fields(StepRecord))
_COUNTED: Final = frozenset({EventKind.EXECUTION_STARTED, EventKind.EXECUTION_RESUMED, EventKind.EXECUTION_PROGRESS})
"""Events up to which `run_ms` counts the time."""
_LOOK_BACK: Final = 100
_STEP_JSON: Final = frozenset({"findings", "tests", "usage"})


class Transaction:
    """What one transaction writes. Made by `Journal.transaction`; `events` are published after it."""

    def __init__(self, connection: sqlite3.Connection, now: datetime) -> None:
        self._connection = connection
        self.now = now
        self.events: list[Event] = []

    def add_execution(self, record: ExecutionRecord, steps: Sequence[StepRecord]) -> None:
        _insert(self._connection, "executions", _EXECUTION_COLUMNS, [_execution_row(record)])
        _insert(self._connection, "steps", _STEP_COLUMNS, [_step_row(step) for step in steps])

    def move(self, execution_id: str, to: ExecutionState, reason: str = "") -> None:
        """Change the execution's state; raises IllegalTransitionError when the table has no such move."""
        (state,) = self._connection.execute("SELECT state FROM executions WHERE id=?", (execution_id,)).fetchone()
        if state != to:
            check_move(f"execution {execution_id}", ExecutionState(state), to)
        self.set_execution(execution_id, state=to.value, reason=reason)

    def set_execution(self, execution_id: str, **columns: Any) -> None:
        """Set plain columns of the execution's row (times as datetime)."""
        _update(self._connection, "executions", columns, {"id": execution_id})

    def move_step(self, execution_id: str, index: int, to: StepState, **columns: Any) -> None:
        """Change a step's state and columns; raises IllegalTransitionError when the table has no such move."""
        (state, step_id) = self._connection.execute(
            "SELECT state, id FROM steps WHERE execution_id=? AND idx=?", (execution_id, index)
        ).fetchone()
        if state != to:
            check_move(f"step {step_id}", StepState(state), to)
        columns["state"] = to.value
        _update(self._connection, "steps", columns, {"execution_id": execution_id, "idx": index})

    def add_checkpoint(
        self,
        execution_id: str,
        name: str,
        kind: CheckpointKind,
        layer: LayerName | None,
        parent: str | None,
        step_id: str | None = None,
    ) -> CheckpointRecord:
        """Add a node with the next number."""
        (last,) = self._connection.execute(
            "SELECT COALESCE(MAX(number), -1) FROM checkpoints WHERE execution_id=?", (execution_id,)
        ).fetchone()
        record = CheckpointRecord(execution_id, last + 1, name, kind, layer, parent, step_id, self.now)
        self._connection.execute(
            "INSERT INTO checkpoints VALUES (?,?,?,?,?,?,?,?)",
            (execution_id, record.number, name, kind.value, layer, parent, step_id, self.now.isoformat()),
        )
        return record

    def add_baseline(self, execution_id: str, entries: Mapping[bytes, dict[str, Any] | None]) -> None:
        """Record what the base had at these paths; what is recorded already stays as it is."""
        self._connection.executemany(
            "INSERT OR IGNORE INTO baseline VALUES (?,?,?)",
            [(execution_id, path, json.dumps(entry)) for path, entry in entries.items()],
        )

    def emit(self, execution_id: str, kind: EventKind, step_id: str | None = None, **data: Any) -> Event:
        """Append an event with the next number."""
        (sequence,) = self._connection.execute(
            "UPDATE executions SET last_sequence=last_sequence+1 WHERE id=? RETURNING last_sequence",
            (execution_id,),
        ).fetchone()
        event = Event(execution_id, sequence, kind, self.now, step_id, data)
        self._connection.execute(
            "INSERT INTO events VALUES (?,?,?,?,?,?)",
            (execution_id, sequence, kind.value, self.now.isoformat(), step_id, json.dumps(data)),
        )
        self.events.append(event)
        return event

    def delete_checkpoints(self, execution_id: str, numbers: Sequence[int]) -> None:
        """Forget these nodes; steps that left them keep their outcome but name no checkpoint any more."""
        for number in numbers:
            self._connection.execute(
                "DELETE FROM checkpoints WHERE execution_id=? AND number=?", (execution_id, number)
            )
            self._connection.execute(
                "UPDATE steps SET checkpoint=NULL WHERE execution_id=? AND checkpoint=?", (execution_id, f"c{number}")
            )

    def copy_baseline(self, origin: str, execution_id: str) -> None:
        """Give an execution what is recorded of the base for `origin`."""
        self._connection.execute(
            "INSERT INTO baseline SELECT ?, path, entry FROM baseline WHERE execution_id=?", (execution_id, origin)
        )

    def checkpoints(self, execution_id: str) -> list[CheckpointRecord]:
        """As `Journal.checkpoints`; they stay so until the transaction ends."""
        return _checkpoints(self._connection, execution_id)

    def forked_checkpoints(self, execution_id: str) -> set[str]:
        """Ids of its checkpoints that other executions were forked from."""
        rows = self._connection.execute(
            "SELECT forked_from FROM executions WHERE forked_from GLOB ? || ':*'", (execution_id,)
        ).fetchall()
        return {origin.rpartition(":")[2] for (origin,) in rows}

    def delete_execution(self, execution_id: str) -> None:
        """Forget it, with everything that is recorded of it and the requests that it answered."""
        self._connection.execute("DELETE FROM executions WHERE id=?", (execution_id,))

    def remember(self, request: Request, execution_id: str, result: str = "") -> None:
        """Record that this transaction is the effect of `request`. A request that is known stays as it is.

        Raises:
          RequestReusedError: the id is known with another verb or digest, or took effect on another execution
            (a second caller with the same request was faster; `Journal.request` has its answer). The
            transaction is to be given up.
        """
        known = _request(self._connection, request.id)
        if known is None:
            self._connection.execute(
                "INSERT INTO requests VALUES (?,?,?,?,?,?)",
                (request.id, request.verb, request.digest, execution_id, result, self.now.isoformat()),
            )
        elif (known.verb, known.digest, known.execution_id) != (request.verb, request.digest, execution_id):
            raise RequestReusedError(request.id, known.execution_id)

    def forget_requests(self, before: datetime) -> None:
        """Forget the requests that were remembered before this time; asking again then does it again."""
        self._connection.execute("DELETE FROM requests WHERE create_time<?", (before.isoformat(),))


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

    # -- executions ------------------------------------------------------------------------------

    def executions(self, limit: int = 50) -> list[ExecutionRecord]:
        """The newest first."""
        return self._select_executions("ORDER BY create_time DESC, rowid DESC LIMIT ?", (limit,))

    def in_state(self, *states: ExecutionState) -> list[ExecutionRecord]:
        """All executions in one of these states, oldest first."""
        marks = ",".join("?" * len(states))
        return self._select_executions(
            f"WHERE state IN ({marks}) ORDER BY create_time", tuple(state.value for state in states)
        )

    def paused_in_a_step(self) -> list[ExecutionRecord]:
        """The paused executions with a step that is running: its attempt stands still, or its process has died."""
        running = "EXISTS (SELECT 1 FROM steps WHERE execution_id=executions.id AND state=?)"
        parameters = (ExecutionState.PAUSED.value, StepState.RUNNING.value)
        return self._select_executions(f"WHERE state=? AND {running} ORDER BY create_time", parameters)

    def execution(self, execution_id: str) -> ExecutionRecord:
        """By its full id. Raises NotFoundError."""
        found = self._select_executions("WHERE id=?", (execution_id,))
        if not found:
            raise NotFoundError("execution", execution_id)
        return found[0]

    def find(self, text: str) -> ExecutionRecord:
        """By id, unique prefix of an id, name (the newest of that name), or `last`.

        Raises:
          NotFoundError: nothing, or a prefix that more than one id has (`near` lists them).
        """
        if text == "last":
            found = self.executions(1)
            if not found:
                raise NotFoundError("execution", text)
            return found[0]
        named = self._select_executions("WHERE name=? ORDER BY create_time DESC, rowid DESC LIMIT 1", (text,))
        if named:
            return named[0]
        prefixed: list[ExecutionRecord] = []
        if text and all(c in "0123456789abcdef" for c in text):
            prefixed = self._select_executions("WHERE id GLOB ? || '*' LIMIT 5", (text,))
        if len(prefixed) == 1:
            return prefixed[0]
        if prefixed:
            raise NotFoundError("single execution", text, [record.id for record in prefixed])
        names = [record.name for record in self.executions(200)]
        raise NotFoundError("execution", text, difflib.get_close_matches(text, names, 3))

    def _select_executions(self, tail: str, parameters: Sequence[Any]) -> list[ExecutionRecord]:
        columns = ",".join(_EXECUTION_COLUMNS)
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT {columns} FROM executions {tail}", parameters).fetchall()
        return [_execution_from(row) for row in rows]

    def kept(self, execution_id: str) -> bool:
        """True when gc must not remove it."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT kept FROM executions WHERE id=?", (execution_id,)).fetchone()
        return bool(row and row[0])

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
        columns = ",".join(_STEP_COLUMNS)
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {columns} FROM steps WHERE execution_id=? ORDER BY idx", (execution_id,)
            ).fetchall()
        return [_step_from(row) for row in rows]

    def checkpoints(self, execution_id: str) -> list[CheckpointRecord]:
        """In order of creation."""
        with self._database.reading() as connection:
            return _checkpoints(connection, execution_id)

    def checkpoint(self, execution_id: str, text: str) -> CheckpointRecord:
        """By id (`c3`), else by name (the newest of that name). Raises NotFoundError with near names."""
        records = self.checkpoints(execution_id)
        for wanted in ("id", "name"):
            for record in reversed(records):
                if text == getattr(record, wanted):
                    return record
        names = [record.id for record in records] + [record.name for record in records]
        raise NotFoundError("checkpoint", text, difflib.get_close_matches(text, names, 3))

    def events(self, execution_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """Events with a sequence above `after`, in order."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM events WHERE execution_id=? AND sequence>? ORDER BY sequence LIMIT ?",
                (execution_id, after, limit),
            ).fetchall()
        return [
            Event(row[0], row[1], EventKind(row[2]), datetime.fromisoformat(row[3]), row[4], json.loads(row[5]))
            for row in rows
        ]

    def baseline(self, execution_id: str) -> dict[bytes, dict[str, Any] | None]:
        """What the base had at each path that some layer changed, as recorded at the first change."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT path, entry FROM baseline WHERE execution_id=?", (execution_id,)
            ).fetchall()
        return {bytes(path): json.loads(entry) for path, entry in rows}

    def baseline_missing(self, execution_id: str, paths: Sequence[bytes]) -> list[bytes]:
        """Those of `paths` that have no baseline yet."""
        with self._database.reading() as connection:
            return [
                path
                for path in paths
                if connection.execute(
                    "SELECT 1 FROM baseline WHERE execution_id=? AND path=?", (execution_id, path)
                ).fetchone()
                is None
            ]

    # -- requests --------------------------------------------------------------------------------

    def request(self, request_id: str) -> RequestRecord | None:
        """The request that took effect under this id, if there is one and it is not forgotten."""
        with self._database.reading() as connection:
            return _request(connection, request_id)


def _request(connection: sqlite3.Connection, request_id: str) -> RequestRecord | None:
    row = connection.execute("SELECT * FROM requests WHERE id=?", (request_id,)).fetchone()
    if row is None:
        return None
    request_id, verb, digest, execution_id, result, create_time = row
    return RequestRecord(request_id, verb, digest, execution_id, result, datetime.fromisoformat(create_time))


def _insert(connection: sqlite3.Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    marks = ",".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})", rows)


def _update(connection: sqlite3.Connection, table: str, columns: Mapping[str, Any], where: Mapping[str, Any]) -> None:
    sets = ",".join(f"{name}=?" for name in columns)
    conditions = " AND ".join(f"{name}=?" for name in where)
    values = [_to_column(name, value) for name, value in columns.items()]
    connection.execute(f"UPDATE {table} SET {sets} WHERE {conditions}", [*values, *where.values()])


def _to_column(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if name in _STEP_JSON and value is not None:
        return json.dumps(value)
    return value


def _execution_row(record: ExecutionRecord) -> list[Any]:
    return [_to_column(name, getattr(record, name)) for name in _EXECUTION_COLUMNS]


def _execution_from(row: Sequence[Any]) -> ExecutionRecord:
    values = dict(zip(_EXECUTION_COLUMNS, row, strict=True))
    values["state"] = ExecutionState(values["state"])
    for name in ("create_time", "start_time", "end_time"):
        values[name] = datetime.fromisoformat(values[name]) if values[name] else None
    return ExecutionRecord(**values)


def _step_row(record: StepRecord) -> list[Any]:
    names = [field.name for field in fields(StepRecord)]
    return [_to_column(name, getattr(record, name)) for name in names]


def _step_from(row: Sequence[Any]) -> StepRecord:
    values = dict(zip((field.name for field in fields(StepRecord)), row, strict=True))
    values["state"] = StepState(values["state"])
    for name in _STEP_JSON:
        values[name] = json.loads(values[name]) if values[name] is not None else None
    values["stdout_tail"] = bytes(values["stdout_tail"])
    values["stderr_tail"] = bytes(values["stderr_tail"])
    return StepRecord(**values)


def _checkpoints(connection: sqlite3.Connection, execution_id: str) -> list[CheckpointRecord]:
    rows = connection.execute(
        "SELECT * FROM checkpoints WHERE execution_id=? ORDER BY number", (execution_id,)
    ).fetchall()
    return [_checkpoint_from(row) for row in rows]


def _checkpoint_from(row: Sequence[Any]) -> CheckpointRecord:
    execution_id, number, name, kind, layer, parent, step_id, create_time = row
    return CheckpointRecord(
        execution_id,
        number,
        name,
        CheckpointKind(kind),
        LayerName(layer) if layer is not None else None,
        parent,
        step_id,
        datetime.fromisoformat(create_time),
    )
