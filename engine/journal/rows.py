"""Rows of the journal's tables to records and back; every row that is read has its seal compared."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from engine.errors import NotFoundError
from engine.events.types import Event, EventKind
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord, RequestRecord, StepRecord
from engine.journal.states import ExecutionState, StepState
from sandbox.workspace.layer import LayerName
from sandbox.workspace.sealed import SealBrokenError, verified

_EXECUTION_FIELDS: Final = tuple(field.name for field in fields(ExecutionRecord))
_STEP_FIELDS: Final = tuple(field.name for field in fields(StepRecord))
_STEP_JSON: Final = frozenset({"findings", "tests", "usage"})

Row = Sequence[Any]


def select(connection: sqlite3.Connection, table: str, tail: str, *values: Any) -> list[Row]:
    """Whole rows, without their seals, which were compared. Raises SealBrokenError."""
    return verified(table, connection.execute(f"SELECT * FROM {table} {tail}", values).fetchall())


def require_whole(connection: sqlite3.Connection, table: str, execution_id: str, keys: Sequence[Any]) -> None:
    """Raise SealBrokenError unless rows with these keys are as many as `table` has of the execution."""
    extents = select(connection, "extents", "WHERE execution_id=?", execution_id)
    expected = dict(zip(("steps", "checkpoints", "baseline"), extents[0][1:], strict=True))[table] if extents else 0
    if not len(keys) == len(set(keys)) == expected:
        raise SealBrokenError(table, f"execution {execution_id} has {len(keys)} rows of {expected}")


def checkpoints(connection: sqlite3.Connection, execution_id: str) -> list[CheckpointRecord]:
    """In order of creation. Raises SealBrokenError."""
    found = select(connection, "checkpoints", "WHERE execution_id=? ORDER BY number", execution_id)
    require_whole(connection, "checkpoints", execution_id, [row[1] for row in found])
    return [checkpoint_from(row) for row in found]


def request(connection: sqlite3.Connection, request_id: str) -> RequestRecord | None:
    """A miss, which makes a verb take effect, is looked up in a second index. Raises SealBrokenError."""
    found = select(connection, "requests", "WHERE id=?", request_id)
    if found:
        return request_from(found[0])
    again = "SELECT id FROM requests INDEXED BY requests_again WHERE id=?"
    if connection.execute(again, (request_id,)).fetchone() is not None:
        raise SealBrokenError("requests", f"request {request_id} is in one index only")
    return None


def insert(connection: sqlite3.Connection, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    marks = ",".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})", rows)


def update(
    connection: sqlite3.Connection, table: str, columns: Mapping[str, Any], where: Mapping[str, Any], kind: str
) -> None:
    """Set columns of one row. Raises NotFoundError: there is no such `kind`."""
    sets = ",".join(f"{name}=?" for name in columns)
    conditions = " AND ".join(f"{name}=?" for name in where)
    values = [to_column(name, value) for name, value in columns.items()]
    done = connection.execute(f"UPDATE {table} SET {sets} WHERE {conditions}", [*values, *where.values()])
    if not done.rowcount:
        raise NotFoundError(kind, " ".join(str(value) for value in where.values()))


def to_column(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if name in _STEP_JSON and value is not None:
        return json.dumps(value)
    return value


def add_execution(
    connection: sqlite3.Connection, record: ExecutionRecord, plan_json: str, steps: Sequence[StepRecord]
) -> None:
    row = [to_column(name, getattr(record, name)) for name in _EXECUTION_FIELDS]
    insert(connection, "executions", _EXECUTION_FIELDS, [row])
    insert(connection, "plans", ("execution_id", "plan_json"), [(record.id, plan_json)])
    columns = ["idx" if name == "index" else name for name in _STEP_FIELDS]
    rows = [[to_column(name, getattr(step, name)) for name in _STEP_FIELDS] for step in steps]
    insert(connection, "steps", columns, rows)
    insert(connection, "extents", ("execution_id", "steps", "checkpoints", "baseline"), [(record.id, len(steps), 0, 0)])


def execution_from(row: Row) -> ExecutionRecord:
    *rest, _kept = row
    values = dict(zip(_EXECUTION_FIELDS, rest, strict=True))
    values["state"] = ExecutionState(values["state"])
    for name in ("create_time", "start_time", "end_time"):
        values[name] = datetime.fromisoformat(values[name]) if values[name] else None
    return ExecutionRecord(**values)


def step_from(row: Row) -> StepRecord:
    values = dict(zip(_STEP_FIELDS, row, strict=True))
    values["state"] = StepState(values["state"])
    for name in _STEP_JSON:
        values[name] = json.loads(values[name]) if values[name] is not None else None
    values["stdout_tail"] = bytes(values["stdout_tail"])
    values["stderr_tail"] = bytes(values["stderr_tail"])
    return StepRecord(**values)


def checkpoint_from(row: Row) -> CheckpointRecord:
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


def event_from(row: Row) -> Event:
    execution_id, sequence, kind, time, step_id, data = row
    return Event(execution_id, sequence, EventKind(kind), datetime.fromisoformat(time), step_id, json.loads(data))


def request_from(row: Row) -> RequestRecord:
    request_id, verb, digest, execution_id, result, create_time = row
    return RequestRecord(request_id, verb, digest, execution_id, result, datetime.fromisoformat(create_time))
