"""After a kill or a power cut: finishes the applies that were committed, takes back those that were not.

Called at the start of every command. Does again what may have been done already, so that it can be killed
at any point and called again. Applies of live processes are left alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engine.checkpoints.baseline import current_boot_id
from engine.checkpoints.records import ApplyRecords, ApplyState, Intent
from engine.checkpoints.staging import At, PathFault, Point
from engine.checkpoints.swapping import Stayed, Swapper
from engine.errors import JournalCorruptError, NotFoundError
from sandbox.errors import SandboxError, StoreBusyError, TreeRefusedError
from sandbox.failpoints import reached
from sandbox.workspace.beneath import opened
from sandbox.workspace.display import display


class Outcome(StrEnum):
    """FINISHED: it had been committed, now it is whole. UNDONE: nothing of it is left. BUSY: a live process
    works on the project. WAITING: the project is not where it was. STUCK: the file system, or a damaged
    record, forbids; the next command tries again, and an apply to the project is refused until then."""

    FINISHED = "finished"
    UNDONE = "undone"
    BUSY = "busy"
    WAITING = "waiting"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Recovered:
    """One interrupted apply. stayed: files of the user's that were left as they are. reason: for STUCK."""

    id: str
    project: Path | None
    outcome: Outcome
    stayed: tuple[Stayed, ...] = ()
    reason: str = ""


def recover(home: Path, at: At = reached) -> list[Recovered]:
    """Finish or take back every interrupted apply under `home`; quick when there is none. Blocking."""
    if not (home / "applies").is_dir():
        return []
    records = ApplyRecords(home)
    records.remove_rubbish()
    unfinished = [name for name in records.ids() if records.state(name) is not ApplyState.DONE]
    return [found for name in unfinished if (found := _recover(records, name, at)) is not None]


def _recover(records: ApplyRecords, apply_id: str, at: At) -> Recovered | None:
    """None: somebody else recovered it in between."""
    try:
        intent = records.load(apply_id)
    except NotFoundError:
        return None
    except JournalCorruptError as error:
        return Recovered(apply_id, None, Outcome.STUCK, reason=str(error))
    try:
        with opened(intent.project) as root_fd:
            status = os.fstat(root_fd)
            if not intent.root.is_same(status, current_boot_id()):
                return Recovered(apply_id, intent.project, Outcome.WAITING)
            with records.project_locked(status.st_dev, status.st_ino):
                return recover_one(records, intent, root_fd, at)
    except StoreBusyError:
        return Recovered(apply_id, intent.project, Outcome.BUSY)
    except TreeRefusedError:
        return Recovered(apply_id, intent.project, Outcome.WAITING)


def recover_one(records: ApplyRecords, intent: Intent, root_fd: int, at: At) -> Recovered | None:
    """Finish it or take it back. Preconditions: the caller holds the project's lock.

    None: there is nothing to do any more.
    """
    if intent.id not in records.ids() or records.state(intent.id) is ApplyState.DONE:
        return None
    try:
        inodes = records.staged(intent.id)
        swapper = Swapper(root_fd, intent.id, intent.operations, inodes, at)
        if records.state(intent.id) is ApplyState.COMMITTED:
            outcome = Outcome.FINISHED
            stayed = swapper.discard()
            at(Point.DISCARDED)
            records.finish(intent.id, stayed)
            at(Point.DONE)
        else:
            outcome = Outcome.UNDONE
            stayed = swapper.take_back()
            at(Point.TAKEN_BACK)
            records.forget(intent.id)
            at(Point.FORGOTTEN)
    except PathFault as fault:
        reason = f"{display(fault.path)}: {fault.error.strerror}"
        return Recovered(intent.id, intent.project, Outcome.STUCK, reason=reason)
    except (JournalCorruptError, SandboxError, OSError) as error:
        return Recovered(intent.id, intent.project, Outcome.STUCK, reason=str(error))
    return Recovered(intent.id, intent.project, outcome, tuple(stayed))
