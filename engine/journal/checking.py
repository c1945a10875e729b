"""The full check of a journal: every page, every row, every count. Reads only; takes time with the file's size."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from sandbox.workspace.register import check_register
from sandbox.workspace.sealed import SealBrokenError, check_tables, schema_check, verified

_MISCOUNTED = {
    "steps": "SELECT 1 FROM extents AS e WHERE steps IS NOT"
    " (SELECT COUNT(*) FROM steps WHERE execution_id = e.execution_id)",
    "checkpoints": "SELECT 1 FROM extents AS e WHERE checkpoints IS NOT"
    " (SELECT COUNT(*) FROM checkpoints WHERE execution_id = e.execution_id)",
    "baseline": "SELECT 1 FROM extents AS e WHERE baseline IS NOT"
    " (SELECT COUNT(*) FROM baseline WHERE execution_id = e.execution_id)",
    "events": "SELECT 1 FROM executions AS e WHERE (last_sequence, last_sequence) IS NOT"
    " (SELECT COUNT(*), COALESCE(MAX(sequence), 0) FROM events WHERE execution_id = e.id)",
    "extents": "SELECT 1 WHERE (SELECT COUNT(*) FROM extents) IS NOT (SELECT executions FROM ledger)",
    "executions": "SELECT 1 WHERE (SELECT COUNT(*) FROM executions NOT INDEXED) IS NOT (SELECT executions FROM ledger)",
    "requests": "SELECT 1 WHERE (SELECT COUNT(*) FROM requests) IS NOT (SELECT requests FROM ledger)",
}
_WITHOUT_PLAN = "SELECT 1 WHERE (SELECT COUNT(*) FROM plans) IS NOT (SELECT executions FROM ledger)"
"""Each plan has its own execution (the keys see to it), so as many as there are executions is one each."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The row about the whole journal. commits: its transactions so far."""

    journal_id: str
    commits: int
    executions: int
    requests: int
    schema: int


def read_ledger(connection: sqlite3.Connection) -> Ledger:
    """Raises SealBrokenError."""
    rows = verified("ledger", connection.execute("SELECT * FROM ledger").fetchall())
    if len(rows) != 1:
        raise SealBrokenError("ledger", f"it has {len(rows)} rows, not one")
    _, journal_id, commits, executions, requests, schema = rows[0]
    return Ledger(journal_id, commits, executions, requests, schema)


def check_all(connection: sqlite3.Connection) -> None:
    """Compare everything with everything that is known of it; of any version that has seals, for a copy that is good
    stays good when the program goes on. Raises SealBrokenError and sqlite3.DatabaseError.
    """
    connection.execute("BEGIN")  # one state of the file, whoever writes meanwhile
    try:
        check_within(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def check_within(connection: sqlite3.Connection) -> None:
    """As `check_all`, in the transaction that the connection is in."""
    check_tables(connection)
    if read_ledger(connection).schema != schema_check(connection):
        raise SealBrokenError("unknown", "the schema is not what this program made")
    queries = dict(_MISCOUNTED)
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'plans'").fetchone() is not None:
        queries["plans"] = _WITHOUT_PLAN
    for table, query in queries.items():
        if connection.execute(query).fetchone() is not None:
            raise SealBrokenError(table, "rows are missing")
    check_register(connection)
