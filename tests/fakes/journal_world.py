"""A small journal with rows in every table, everything that can be read of it, and ways to damage its files."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine.clock import ManualClock
from engine.events.types import EventKind
from engine.journal.database import Database
from engine.journal.journal import Journal
from engine.journal.records import CheckpointKind, ExecutionRecord, Request, StepRecord
from engine.journal.states import ExecutionState, StepState
from sandbox.workspace.layer import DiskLimit, Layer, LayerKind, LayerName, Usage, VolumeId
from sandbox.workspace.register import Placed, Register, Volume

IDS = ("a" * 32, "ab" + "c" * 30)
VOLUME = VolumeId("a" * 32)


def record_of(execution_id: str, clock: ManualClock, name: str = "plan") -> ExecutionRecord:
    return ExecutionRecord(
        id=execution_id,
        name=name,
        state=ExecutionState.IDLE,
        plan_digest="d",
        workspace="/w",
        workspace_dev=1,
        workspace_inode=2,
        start_ns=3,
        create_time=clock.now(),
    )


def plan_json(number: int) -> str:
    """Longer than a page, as most plans are."""
    return f'{{"plan": {number}, "steps": "{"x" * 1500}"}}'


def fill(journal: Journal, register: Register, clock: ManualClock) -> None:
    """Two executions with all that an execution can have, one of them with layers."""
    for number, execution_id in enumerate(IDS):
        clock.advance(timedelta(seconds=1))
        register.add_volume(Volume(VolumeId(execution_id), Path("/base"), DiskLimit(1 << 20, 100), None))
        with journal.transaction() as tx:
            steps = [StepRecord(execution_id, index, f"step-{index}", "command") for index in range(3)]
            tx.add_execution(record_of(execution_id, clock, f"plan-{number}"), plan_json(number), steps)
            tx.add_checkpoint(execution_id, "start", CheckpointKind.AUTOMATIC, None, None)
            tx.add_baseline(execution_id, {b"a\xff": {"kind": "file", "digest": "0" * 64}, b"b": None})
            tx.remember(Request(f"request-{number}", "execute-plan", "digest"), execution_id, "result")
            tx.move(execution_id, ExecutionState.RUNNING)
        for index in range(2):
            add_layer(register, execution_id, index)
            run_step(journal, execution_id, index)


def add_layer(register: Register, execution_id: str, index: int) -> None:
    parent = LayerName(f"{execution_id[:2]}-l{index - 1}") if index else None
    layer = Layer(
        id=f"{execution_id[:2]}-l{index}",
        kind=LayerKind.COMMITTED,
        volume=VolumeId(execution_id),
        parent=parent,
        depth=index + 1,
        digest="0" * 64,
        empty=False,
        usage=Usage(4096, 3),
    )
    register.add(Placed(layer, f"lease-{execution_id[:2]}-{index}", False))


def run_step(journal: Journal, execution_id: str, index: int) -> None:
    """The transactions of one step that succeeds: five events, a checkpoint, the step's outcome."""
    with journal.transaction() as tx:
        tx.move_step(execution_id, index, StepState.RUNNING, attempts=1)
        tx.emit(execution_id, EventKind.STEP_STARTED, f"step-{index}", attempt=1)
    with journal.transaction() as tx:
        name = LayerName(f"{execution_id[:2]}-l{index}")
        made = tx.add_checkpoint(
            execution_id, f"after {index}", CheckpointKind.AUTOMATIC, name, f"c{index}", f"step-{index}"
        )
        tx.move_step(
            execution_id,
            index,
            StepState.SUCCEEDED,
            exit_code=0,
            duration_ms=12,
            checkpoint=made.id,
            stdout_tail=b"out \xff" * 20,
        )
        tx.set_execution(execution_id, head=made.id)
        tx.emit(execution_id, EventKind.CHECKPOINT_CREATED, f"step-{index}", checkpoint=made.id)
        tx.emit(execution_id, EventKind.STEP_COMPLETED, f"step-{index}", exit_code=0)


def everything(journal: Journal, register: Register, ids: tuple[str, ...] = IDS) -> dict[str, Any]:
    """All that the interface gives, by what was asked."""
    found: dict[str, Any] = {
        "executions": journal.executions(),
        "running": journal.in_state(ExecutionState.RUNNING),
        "last": journal.find("last"),
        "volumes": register.volumes(),
        "layers": register.all(),
    }
    for number, execution_id in enumerate(ids):
        found |= {
            f"execution {number}": journal.execution(execution_id),
            f"prefix {number}": journal.find(execution_id[:3]),
            f"name {number}": journal.find(f"plan-{number}"),
            f"steps {number}": journal.steps(execution_id),
            f"checkpoints {number}": journal.checkpoints(execution_id),
            f"baseline {number}": journal.baseline(execution_id),
            f"events {number}": journal.events(execution_id),
            f"late events {number}": journal.events(execution_id, after=3),
            f"request {number}": journal.request(f"request-{number}"),
            f"plan {number}": journal.plan(execution_id),
            f"kept {number}": journal.kept(execution_id),
            f"volume {number}": register.volume(VolumeId(execution_id)),
            f"layers {number}": register.of_volume(VolumeId(execution_id)),
            f"chain {number}": register.chain(LayerName(f"{execution_id[:2]}-l1")),
            f"children {number}": register.children(f"{execution_id[:2]}-l0"),
        }
    return found


def make(home: Path) -> dict[str, Any]:
    """A filled journal in `home`, closed, on pages of 512 bytes; everything that is in it."""
    with closing(sqlite3.connect(home / "journal.db")) as connection:
        connection.execute("PRAGMA page_size=512")
        connection.execute("PRAGMA journal_mode=WAL")
    clock = ManualClock()
    database = Database(home / "journal.db")
    register = Register(home / "journal.db", durable=False)
    journal = Journal(database, clock)
    fill(journal, register, clock)
    found = everything(journal, register)
    register.close()
    database.close()
    return found


def read(home: Path, *, full: bool = True) -> dict[str, Any]:
    """Open and read everything; `full`: after a full check, as `serve` does."""
    database = Database(home / "journal.db")
    try:
        if full:
            database.check()
        register = Register(home / "journal.db", durable=False)
        try:
            return everything(Journal(database, ManualClock()), register)
        finally:
            register.close()
    finally:
        database.close()


def killed(home: Path, target: Path) -> None:
    """Copy the files as they are while others have them open: what a kill -9 at this moment leaves."""
    target.mkdir()
    for name in ("journal.db", "journal.db-wal", "journal.mark"):
        if (home / name).exists():
            shutil.copyfile(home / name, target / name)


def flip(path: Path, offset: int, mask: int) -> None:
    with path.open("r+b") as file:
        byte = os.pread(file.fileno(), 1, offset)[0]
        os.pwrite(file.fileno(), bytes([byte ^ mask]), offset)


def free_pages(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA freelist_count").fetchone()[0])
