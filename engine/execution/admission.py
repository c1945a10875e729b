"""What is checked and written when a plan is accepted: the workspace, the secrets, the first rows."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.errors import CheckpointNameError, NotFoundError, SecretTooShortError
from engine.events.types import EventKind
from engine.execution.masking import MIN_SECRET_BYTES
from engine.journal.journal import Transaction
from engine.journal.records import CheckpointKind, CheckpointRecord, ExecutionRecord, Request, StepRecord
from engine.plan.model import Plan

START: Final = "c0"
"""Id of the checkpoint where every execution starts."""


@dataclass(frozen=True, slots=True)
class Root:
    """The workspace, as it is when the execution starts. owner: uid and gid."""

    path: Path
    device: int
    inode: int
    owner: tuple[int, int]


def workspace_root(workspace: Path) -> Root:
    """Blocking. The real directory behind the name the user gave, once and for all."""
    path = workspace.resolve()
    if not path.is_dir():
        raise NotFoundError("directory", os.fspath(workspace))
    status = path.stat()
    return Root(path, status.st_dev, status.st_ino, (status.st_uid, status.st_gid))


def accept(
    tx: Transaction,
    record: ExecutionRecord,
    plan: Plan,
    steps: list[StepRecord],
    root: Mapping[bytes, dict[str, Any] | None],
    keep: bool,
    request: Request | None = None,
    position: int | None = None,
) -> CheckpointRecord:
    """The first rows of an execution, and that the request for it took effect; its start.

    root: the baseline's first entry. position: in the queue, None when it need not wait.
    """
    tx.add_execution(record, plan.to_json(), steps)
    tx.add_baseline(record.id, root)
    if keep:
        tx.set_execution(record.id, kept=1)
    head = tx.add_checkpoint(record.id, "start", CheckpointKind.AUTOMATIC, None, None)
    assert head.id == START
    if request is not None:
        tx.remember(request, record.id)
    if position is not None:
        tx.emit(record.id, EventKind.EXECUTION_QUEUED, None, position=position)
    return head


def check_checkpoint_name(name: str, existing: Sequence[CheckpointRecord]) -> None:
    taken = {record.name for record in existing} | {record.id for record in existing}
    if not name or len(name) > 100 or not name.isprintable() or ".." in name:
        raise CheckpointNameError(name, "must be 1 to 100 printable characters without '..'")
    if name in taken or (name[0] == "c" and name[1:].isdigit()):
        raise CheckpointNameError(name, "is taken or looks like a checkpoint's id")


def checked_secrets(plan: Plan, given: Mapping[str, str]) -> dict[str, str]:
    """The values of the secrets that the plan names.

    Raises:
      NotFoundError: one is not given. SecretTooShortError: one could not be masked.
    """
    for name in plan.secrets:
        if name not in given:
            raise NotFoundError("secret", name)
        if len(given[name].encode("utf-8", "surrogateescape")) < MIN_SECRET_BYTES:
            raise SecretTooShortError(name, MIN_SECRET_BYTES)
    return {name: given[name] for name in plan.secrets}
