"""What one transaction of the journal may write. Every change of a state goes through the tables of states."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.errors import NotFoundError, RequestReusedError
from engine.events.types import Event, EventKind
from engine.journal import rows
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord, Request, StepRecord
from engine.journal.states import ExecutionState, StepState, check_move
from sandbox.workspace.layer import LayerName


class Transaction:
    """What one transaction writes. Made by `Journal.transaction`; `events` are published after it.

    All methods raise JournalCorruptError (through the transaction) when a row that they change is damaged.
    """

    def __init__(self, connection: sqlite3.Connection, now: datetime) -> None:
        self._connection = connection
        self.now = now
        self.events: list[Event] = []

    def add_execution(self, record: ExecutionRecord, plan_json: str, steps: Sequence[StepRecord]) -> None:
        """Add an execution, its plan's text, which never changes, and its steps."""
        rows.add_execution(self._connection, record, plan_json, steps)

    def move(self, execution_id: str, to: ExecutionState, reason: str = "") -> None:
        """Change the execution's state.

        Raises:
          NotFoundError. IllegalTransitionError: the table has no such move.
        """
        found = rows.select(self._connection, "executions", "WHERE id=?", execution_id)
        if not found:
            raise NotFoundError("execution", execution_id)
        state = rows.execution_from(found[0]).state
        if state is not to:
            check_move(f"execution {execution_id}", state, to)
        self.set_execution(execution_id, state=to.value, reason=reason)

    def set_execution(self, execution_id: str, **columns: Any) -> None:
        """Set plain columns of the execution's row (times as datetime). Raises NotFoundError."""
        rows.update(self._connection, "executions", columns, {"id": execution_id}, "execution")

    def move_step(self, execution_id: str, index: int, to: StepState, **columns: Any) -> None:
        """Change a step's state and columns.

        Raises:
          NotFoundError. IllegalTransitionError: the table has no such move.
        """
        found = rows.select(self._connection, "steps", "WHERE execution_id=? AND idx=?", execution_id, index)
        if not found:
            raise NotFoundError("step", f"{execution_id} {index}")
        step = rows.step_from(found[0])
        if step.state is not to:
            check_move(f"step {step.id}", step.state, to)
        columns["state"] = to.value
        rows.update(self._connection, "steps", columns, {"execution_id": execution_id, "idx": index}, "step")

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
        columns = ("execution_id", "number", "name", "kind", "layer", "parent", "step_id", "create_time")
        row = (execution_id, record.number, name, kind.value, layer, parent, step_id, self.now.isoformat())
        rows.insert(self._connection, "checkpoints", columns, [row])
        self._count("checkpoints", execution_id, 1)
        return record

    def add_baseline(self, execution_id: str, entries: Mapping[bytes, dict[str, Any] | None]) -> None:
        """Record what the base had at these paths; what is recorded already stays as it is."""
        added = self._connection.executemany(
            "INSERT OR IGNORE INTO baseline (execution_id, path, entry) VALUES (?,?,?)",
            [(execution_id, path, json.dumps(entry)) for path, entry in entries.items()],
        )
        if added.rowcount > 0:
            self._count("baseline", execution_id, added.rowcount)

    def emit(self, execution_id: str, kind: EventKind, step_id: str | None = None, **data: Any) -> Event:
        """Append an event with the next number. Raises NotFoundError."""
        row = self._connection.execute(
            "UPDATE executions SET last_sequence=last_sequence+1 WHERE id=? RETURNING last_sequence",
            (execution_id,),
        ).fetchone()
        if row is None:
            raise NotFoundError("execution", execution_id)
        event = Event(execution_id, row[0], kind, self.now, step_id, data)
        self._connection.execute(
            "INSERT INTO events (execution_id, sequence, kind, time, step_id, data) VALUES (?,?,?,?,?,?)",
            (execution_id, event.sequence, kind.value, self.now.isoformat(), step_id, json.dumps(data)),
        )
        self.events.append(event)
        return event

    def delete_checkpoints(self, execution_id: str, numbers: Sequence[int]) -> None:
        """Forget these nodes; steps that left them keep their outcome but name no checkpoint any more."""
        gone = 0
        for number in numbers:
            gone += self._connection.execute(
                "DELETE FROM checkpoints WHERE execution_id=? AND number=?", (execution_id, number)
            ).rowcount
            self._connection.execute(
                "UPDATE steps SET checkpoint=NULL WHERE execution_id=? AND checkpoint=?", (execution_id, f"c{number}")
            )
        self._count("checkpoints", execution_id, -gone)

    def copy_baseline(self, origin: str, execution_id: str) -> None:
        """Give an execution what is recorded of the base for `origin`."""
        found = rows.select(self._connection, "baseline", "WHERE execution_id=?", origin)
        rows.require_whole(self._connection, "baseline", origin, [row[1] for row in found])
        copies = [(execution_id, path, entry) for _, path, entry in found]
        rows.insert(self._connection, "baseline", ("execution_id", "path", "entry"), copies)
        self._count("baseline", execution_id, len(copies))

    def checkpoints(self, execution_id: str) -> list[CheckpointRecord]:
        """As `Journal.checkpoints`; they stay so until the transaction ends."""
        return rows.checkpoints(self._connection, execution_id)

    def forked_checkpoints(self, execution_id: str) -> set[str]:
        """Ids of its checkpoints that other executions were forked from."""
        found = self._connection.execute(
            "SELECT forked_from FROM executions WHERE forked_from GLOB ? || ':*'", (execution_id,)
        ).fetchall()
        return {origin.rpartition(":")[2] for (origin,) in found}

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
        known = rows.request(self._connection, request.id)
        if known is None:
            row = (request.id, request.verb, request.digest, execution_id, result, self.now.isoformat())
            columns = ("id", "verb", "digest", "execution_id", "result", "create_time")
            rows.insert(self._connection, "requests", columns, [row])
            return
        if (known.verb, known.digest, known.execution_id) != (request.verb, request.digest, execution_id):
            raise RequestReusedError(request.id, known.execution_id)

    def forget_requests(self, before: datetime) -> None:
        """Forget the requests that were remembered before this time; asking again then does it again."""
        self._connection.execute("DELETE FROM requests WHERE create_time<?", (before.isoformat(),))

    def _count(self, table: str, execution_id: str, change: int) -> None:
        self._connection.execute(f"UPDATE extents SET {table}={table}+? WHERE execution_id=?", (change, execution_id))
