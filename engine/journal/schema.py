"""The journal's tables, and the steps from each earlier version of them to the next. Data; `Database` runs them.

A version's script is never changed once it is out: a new file runs all of them in order, an old one those it
lacks. So a file that came the long way and a new one have the same tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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

SCRIPTS: Final[Mapping[int, str]] = MappingProxyType({1: _FIRST, 2: _REQUESTS})
"""What makes a file of version n - 1 one of version n. Version 0 is an empty file."""

SCHEMA_VERSION: Final = max(SCRIPTS)
