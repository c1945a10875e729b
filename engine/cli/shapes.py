"""The JSON that commands print: stable shapes, additions allowed. Pure.

Text that steps wrote is decoded as UTF-8 with U+FFFD for what is not; printing it is the output's care.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from engine.cli.escape import path_json
from engine.cli.exits import exit_of
from engine.cli.failures import message_of
from engine.errors import ApplyConflictError, ApplyRefusedError, PlanError
from engine.journal.records import ExecutionRecord, StepRecord
from sandbox.workspace.changes import Change, ChangeKind
from sandbox.workspace.manifest import Entry, EntryKind

SHORT_ID: Final = 12
"""Digits of an id that are shown to people."""

NO_CHANGES: Final = {"added": 0, "modified": 0, "deleted": 0}


def execution_json(record: ExecutionRecord) -> dict[str, Any]:
    """One execution, as in `status --json`."""
    return {
        "execution_id": record.id,
        "name": record.name,
        "state": record.state.value,
        "error": record.reason or None,
        "head": record.head,
        "workspace": record.workspace,
        "image": record.image_id or None,
        "plan_digest": record.plan_digest,
        "forked_from": record.forked_from or None,
        "create_time": _time(record.create_time),
        "start_time": _time(record.start_time),
        "end_time": _time(record.end_time),
        "duration_ms": record.run_ms,
        "last_sequence": record.last_sequence,
    }


def step_json(step: StepRecord) -> dict[str, Any]:
    """One step with its latest outcome."""
    return {
        "id": step.id,
        "type": step.type,
        "state": step.state.value,
        "attempts": step.attempts,
        "exit_code": step.exit_code,
        "verdict": step.verdict,
        "detail": step.detail or None,
        "duration_ms": step.duration_ms,
        "overhead_ms": step.overhead_ms,
        "checkpoint": step.checkpoint,
        "findings": step.findings,
        "tests": step.tests,
        "usage": step.usage,
        "stdout_tail": step.stdout_tail.decode("utf-8", "replace"),
        "stderr_tail": step.stderr_tail.decode("utf-8", "replace"),
    }


def outcome_json(record: ExecutionRecord, steps: Sequence[StepRecord], changes: Iterable[Change]) -> dict[str, Any]:
    """What `run --json` prints, less what an apply adds."""
    return {
        "execution_id": record.id,
        "name": record.name,
        "state": record.state.value,
        "error": record.reason or None,
        "head": record.head,
        "changes": change_counts(changes),
        "duration_ms": record.run_ms,
        "steps": [step_json(step) for step in steps],
        "workspace": record.workspace,
        "forked_from": record.forked_from or None,
    }


def no_outcome_json(error: BaseException, name: str | None, execution_id: str | None) -> dict[str, Any]:
    """What `run --json` prints when it has no outcome to tell: the same keys, and what went wrong.

    execution_id: None when no execution could be started.
    """
    return {
        "execution_id": execution_id,
        "name": name,
        "state": None,
        "error": message_of(error),
        "head": None,
        "changes": dict(NO_CHANGES),
        "duration_ms": 0,
        "steps": [],
        "forked_from": None,
        **error_json(error),
    }


def error_json(error: BaseException) -> dict[str, Any]:
    """`error_type`, the `exit_code` it means, and the error's list where it has one."""
    shape: dict[str, Any] = {"error_type": type(error).__name__, "exit_code": int(exit_of(error))}
    if isinstance(error, PlanError):
        shape["faults"] = [
            {
                "file": fault.file,
                "line": fault.line,
                "column": fault.column,
                "key": fault.key,
                "message": fault.message,
                "hint": fault.hint,
            }
            for fault in error.faults
        ]
    if isinstance(error, ApplyConflictError):
        shape["conflicts"] = [{"path": path, "reason": reason} for path, reason in error.conflicts]
    if isinstance(error, ApplyRefusedError):
        shape["refused"] = [{"path": path, "reason": reason} for path, reason in error.entries]
    return shape


def change_counts(changes: Iterable[Change]) -> dict[str, int]:
    """How many paths were added, modified (content, kind or mode) and deleted, of those that count."""
    counts = dict(NO_CHANGES)
    for change in counted(changes):
        counts[change.kind.value if change.kind.value in counts else ChangeKind.MODIFIED.value] += 1
    return counts


def counts_text(changes: Iterable[Change]) -> str:
    """`2 added, 1 modified`, or `no changes`."""
    parts = [f"{count} {word}" for word, count in change_counts(changes).items() if count]
    return ", ".join(parts) or "no changes"


def counted(changes: Iterable[Change]) -> list[Change]:
    """The changes without directories in which something else changed: those are told by what is in them."""
    listed = list(changes)
    with_content = {change.path.rpartition(b"/")[0] for change in listed}
    return [change for change in listed if not (is_directory(change) and change.path in with_content)]


def is_directory(change: Change) -> bool:
    """True when no file, link or other thing is at the path, before or after."""
    return all(e is None or e.kind is EntryKind.DIRECTORY for e in (change.old, change.new))


def change_json(change: Change) -> dict[str, Any]:
    """One path that differs, as in `diff --json`."""
    return {
        **path_json(change.path),
        "change": change.kind.value,
        "old": _entry_json(change.old),
        "new": _entry_json(change.new),
    }


def _entry_json(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    shape: dict[str, Any] = {"kind": entry.kind.value, "mode": f"{entry.mode:04o}", "size": entry.size}
    if entry.digest:
        shape["sha256"] = entry.digest
    if entry.kind is EntryKind.SYMLINK:
        shape["target"] = path_json(entry.target)["path"]
    return shape


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time is not None else None
