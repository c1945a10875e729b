"""The journal's tables, and the steps from each earlier version of them to the next. Data; `Database` runs them.

A version's script is never changed once it is out: a new file runs all of them in order, an old one those it
lacks. So a file that came the long way and a new one have the same tables. Every table is sealed
(`sandbox.workspace.sealed`); what seals cannot notice, rows that are missing, is noticed by counts. The layers'
tables are made here too, so that the check over the schema covers the whole file.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sandbox.workspace.register import register_statements
from sandbox.workspace.sealed import sealing

_FIRST: Final = """
CREATE TABLE executions (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, plan_json TEXT NOT NULL,
  plan_digest TEXT NOT NULL, workspace TEXT NOT NULL, workspace_dev INTEGER NOT NULL,
  workspace_inode INTEGER NOT NULL, start_ns INTEGER NOT NULL, create_time TEXT NOT NULL,
  start_time TEXT, end_time TEXT, head TEXT NOT NULL, image_id TEXT NOT NULL, reason TEXT NOT NULL,
  lease TEXT NOT NULL, last_sequence INTEGER NOT NULL, forked_from TEXT NOT NULL,
  run_ms INTEGER NOT NULL, kept INTEGER NOT NULL DEFAULT 0);
CREATE INDEX executions_by_time ON executions(create_time);
CREATE TABLE steps (
  execution_id TEXT NOT NULL REFERENCES executions(id) ON DELETE CASCADE, idx INTEGER NOT NULL,
  id TEXT NOT NULL, type TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
  exit_code INTEGER, verdict TEXT, detail TEXT NOT NULL, duration_ms REAL, overhead_ms REAL,
  checkpoint TEXT, findings TEXT NOT NULL, tests TEXT, usage TEXT NOT NULL,
  stdout_tail BLOB NOT NULL, stderr_tail BLOB NOT NULL, PRIMARY KEY (execution_id, idx)) WITHOUT ROWID;
CREATE TABLE checkpoints (
  execution_id TEXT NOT NULL REFERENCES executions(id) ON DELETE CASCADE, number INTEGER NOT NULL,
  name TEXT NOT NULL, kind TEXT NOT NULL, layer TEXT, parent TEXT, step_id TEXT,
  create_time TEXT NOT NULL, PRIMARY KEY (execution_id, number)) WITHOUT ROWID;
CREATE TABLE baseline (
  execution_id TEXT NOT NULL REFERENCES executions(id) ON DELETE CASCADE, path BLOB NOT NULL,
  entry TEXT NOT NULL, PRIMARY KEY (execution_id, path)) WITHOUT ROWID;
CREATE TABLE events (
  execution_id TEXT NOT NULL REFERENCES executions(id) ON DELETE CASCADE, sequence INTEGER NOT NULL,
  kind TEXT NOT NULL, time TEXT NOT NULL, step_id TEXT, data TEXT NOT NULL,
  PRIMARY KEY (execution_id, sequence)) WITHOUT ROWID;
"""

_REQUESTS: Final = """
CREATE TABLE requests (
  id TEXT PRIMARY KEY, verb TEXT NOT NULL, digest TEXT NOT NULL,
  execution_id TEXT NOT NULL REFERENCES executions(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  result TEXT NOT NULL, create_time TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX requests_by_execution ON requests(execution_id);
CREATE INDEX requests_by_time ON requests(create_time);
"""

_SEALED: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = MappingProxyType(
    {
        "executions": (
            (
                *("id", "name", "state", "plan_json", "plan_digest", "workspace", "workspace_dev", "workspace_inode"),
                *("start_ns", "create_time", "start_time", "end_time", "head", "image_id", "reason", "lease"),
                *("last_sequence", "forked_from", "run_ms", "kept"),
            ),
            ("id",),
        ),
        "steps": (
            (
                *("execution_id", "idx", "id", "type", "state", "attempts", "exit_code", "verdict", "detail"),
                *("duration_ms", "overhead_ms", "checkpoint", "findings", "tests", "usage"),
                *("stdout_tail", "stderr_tail"),
            ),
            ("execution_id", "idx"),
        ),
        "checkpoints": (
            ("execution_id", "number", "name", "kind", "layer", "parent", "step_id", "create_time"),
            ("execution_id", "number"),
        ),
        "baseline": (("execution_id", "path", "entry"), ("execution_id", "path")),
        "events": (("execution_id", "sequence", "kind", "time", "step_id", "data"), ("execution_id", "sequence")),
        "requests": (("id", "verb", "digest", "execution_id", "result", "create_time"), ("id",)),
        "extents": (("execution_id", "steps", "checkpoints", "baseline"), ("execution_id",)),
        "ledger": (("id", "journal_id", "commits", "executions", "requests", "schema"), ("id",)),
    }
)
"""Each table's columns in version 3 in their order, without `chk`, and its key."""

_COUNTS: Final = """
CREATE TABLE extents (
  execution_id TEXT PRIMARY KEY REFERENCES executions(id) ON DELETE CASCADE, steps INTEGER NOT NULL,
  checkpoints INTEGER NOT NULL, baseline INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO extents SELECT id, (SELECT COUNT(*) FROM steps WHERE execution_id=executions.id),
  (SELECT COUNT(*) FROM checkpoints WHERE execution_id=executions.id),
  (SELECT COUNT(*) FROM baseline WHERE execution_id=executions.id) FROM executions;
CREATE TABLE ledger (
  id INTEGER PRIMARY KEY CHECK (id = 1), journal_id TEXT NOT NULL, commits INTEGER NOT NULL,
  executions INTEGER NOT NULL, requests INTEGER NOT NULL, schema INTEGER NOT NULL);
INSERT INTO ledger SELECT 1, lower(hex(randomblob(8))), 0, (SELECT COUNT(*) FROM executions),
  (SELECT COUNT(*) FROM requests), 0;
CREATE INDEX requests_again ON requests(id, verb);
CREATE INDEX executions_by_state ON executions(state);
CREATE INDEX executions_by_name ON executions(name, create_time);
"""
"""extents: how many rows of each kind an execution has. ledger: one row about the whole journal; commits: its
transactions so far; schema: check over the texts of the schema. requests_again: a second way to a request, so that
one that the first does not find is missed."""


def _counted(table: str) -> list[str]:
    return [
        f"CREATE TRIGGER {table}_{verb} AFTER {event} ON {table}"
        f" BEGIN UPDATE ledger SET {table} = {table} {change} WHERE id = 1; END"
        for verb, event, change in (("counted", "INSERT", "+ 1"), ("discounted", "DELETE", "- 1"))
    ]


def _seals() -> list[str]:
    statements = _split(_COUNTS)
    for table, (columns, key) in _SEALED.items():
        statements.append(f"ALTER TABLE {table} ADD COLUMN chk INTEGER NOT NULL DEFAULT 0")
        statements.append(f"UPDATE {table} SET chk = seal('{table}', {', '.join(columns)})")
        statements += sealing(table, columns, key)
    return [*statements, *_counted("executions"), *_counted("requests"), *register_statements()]


_PLANS: Final = """
CREATE TABLE plans (
  execution_id TEXT PRIMARY KEY REFERENCES executions(id) ON DELETE CASCADE, plan_json TEXT NOT NULL,
  chk INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
DROP TRIGGER executions_sealed;
DROP TRIGGER executions_resealed;
DROP TRIGGER executions_intact;
"""
"""plans: each execution's, written once. In the execution's own row, every event would write the text again."""


def _plans_apart() -> list[str]:
    columns, key = _SEALED["executions"]
    columns = tuple(column for column in columns if column != "plan_json")
    create, *drops = _split(_PLANS)
    return [
        create,
        *sealing("plans", ("execution_id", "plan_json"), ("execution_id",)),
        "INSERT INTO plans (execution_id, plan_json) SELECT id, plan_json FROM executions",
        *drops,
        "ALTER TABLE executions DROP COLUMN plan_json",
        f"UPDATE executions SET chk = seal('executions', {', '.join(columns)})",
        *sealing("executions", columns, key),
    ]


def _split(script: str) -> list[str]:
    return [statement for statement in script.split(";\n") if statement.strip()]


SCRIPTS: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType(
    {1: tuple(_split(_FIRST)), 2: tuple(_split(_REQUESTS)), 3: tuple(_seals()), 4: tuple(_plans_apart())}
)
"""What makes a file of version n - 1 one of version n. Version 0 is an empty file. Needs `sealed.install`."""

SCHEMA_VERSION: Final = max(SCRIPTS)
