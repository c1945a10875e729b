"""A journal with a long history: how long from opening it to being ready, and what single questions take."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from benchmarks.common import Figures, scratch, summary, timed
from engine.clock import ManualClock
from engine.events.types import EventKind
from engine.execution.locks import ExecutionLocks
from engine.execution.logs import LogStore
from engine.execution.recovery import Recovery
from engine.journal.database import Database
from engine.journal.journal import Journal
from engine.journal.records import CheckpointKind, ExecutionRecord, StepRecord
from engine.journal.states import ExecutionState, StepState
from sandbox.workspace.copying import CopyingLayerStore
from sandbox.workspace.layer import DiskLimit, Layer, LayerKind, LayerName, Usage, VolumeId
from sandbox.workspace.register import Placed, Register, Volume

_STEPS = 10
_EVENTS = 50
_PLAN = '{"steps": [' + ", ".join(['{"id": "step", "type": "command", "run": "make test"}'] * 40) + "]}"


def make_history(home: Path, executions: int) -> list[str]:
    """Ended executions with ten steps, checkpoints and layers and fifty events each, in a new journal; their ids."""
    clock = ManualClock()
    ids = [hashlib.sha256(b"%d" % index).hexdigest()[:32] for index in range(executions)]
    with (
        closing(Database(home / "journal.db")) as database,
        closing(Register(home / "journal.db", durable=False)) as register,
    ):
        database.connection.execute("PRAGMA synchronous=OFF")  # it is the reading that is measured
        journal = Journal(database, clock)
        for number, execution_id in enumerate(ids):
            clock.advance(timedelta(minutes=1))
            _add(journal, clock, execution_id, number)
            register.add_volume(Volume(VolumeId(execution_id), Path("/base"), DiskLimit(1 << 30, 1 << 16), None))
            for index in range(_STEPS):
                register.add(_layer(execution_id, index))
    return ids


def _add(journal: Journal, clock: ManualClock, execution_id: str, number: int) -> None:
    record = ExecutionRecord(
        id=execution_id,
        name=f"plan-{number}",
        state=ExecutionState.COMPLETED,
        plan_digest="0" * 64,
        workspace="/home/user/project",
        workspace_dev=1,
        workspace_inode=2,
        start_ns=3,
        create_time=clock.now(),
        end_time=clock.now(),
    )
    steps = [
        StepRecord(execution_id, index, f"s{index}", "command", StepState.SUCCEEDED, 1, 0, stdout_tail=b"x" * 1000)
        for index in range(_STEPS)
    ]
    with journal.transaction() as tx:
        tx.add_execution(record, _PLAN, steps)
        for index in range(_STEPS):
            layer = LayerName(f"{execution_id}-{index}")
            tx.add_checkpoint(execution_id, f"after {index}", CheckpointKind.AUTOMATIC, layer, f"c{index - 1}")
        for index in range(_EVENTS):
            tx.emit(execution_id, EventKind.EXECUTION_PROGRESS, None, done=index, total=_EVENTS, elapsed_ms=1.5)


def add_events(home: Path, execution_id: str, count: int) -> None:
    """More events of an execution that has ended."""
    with closing(Database(home / "journal.db")) as database:
        database.connection.execute("PRAGMA synchronous=OFF")
        with Journal(database, ManualClock()).transaction() as tx:
            for index in range(count):
                tx.emit(execution_id, EventKind.EXECUTION_PROGRESS, None, done=index, total=count, elapsed_ms=1.5)


def _layer(execution_id: str, index: int) -> Placed:
    layer = Layer(
        id=f"{execution_id}-{index}",
        kind=LayerKind.COMMITTED,
        volume=VolumeId(execution_id),
        parent=LayerName(f"{execution_id}-{index - 1}") if index else None,
        depth=index + 1,
        digest="0" * 64,
        empty=False,
        usage=Usage(4096, 1),
    )
    return Placed(layer, f"lease-{execution_id}-{index}", False)


def open_to_ready(home: Path, *, full_check: bool) -> None:
    """What a process does with the journal before its first own work; `full_check`: as after a crash."""
    with closing(Database(home / "journal.db")) as database:
        journal = Journal(database, ManualClock())
        if full_check:
            journal.check()
        Recovery(journal, CopyingLayerStore(home), ExecutionLocks(home / "locks"), LogStore(home / "logs")).all()


async def measure(quick: bool) -> Figures:
    return await asyncio.to_thread(_measure, 100 if quick else 1000, 5 if quick else 15)


def _measure(executions: int, rounds: int) -> Figures:
    with scratch() as home, tempfile.TemporaryDirectory(dir=home) as copies:
        ids = make_history(home, executions)
        with (
            closing(Database(home / "journal.db")) as database,
            closing(Register(home / "journal.db", durable=False)) as register,
        ):
            journal = Journal(database, ManualClock())
            work: dict[str, Callable[[], object]] = {
                "open to ready": lambda: open_to_ready(home, full_check=False),
                "open to ready, with a full check": lambda: open_to_ready(home, full_check=True),
                "a checked backup": lambda: journal.backup(Path(copies)),
                "who is running": lambda: journal.in_state(ExecutionState.RUNNING, ExecutionState.IDLE),
                "the newest 50": lambda: journal.executions(50),
                "find by prefix": lambda: journal.find(ids[-1][:10]),
                "find by name": lambda: journal.find(f"plan-{executions // 2}"),
                "50 events of one": lambda: journal.events(ids[0]),
                "checkpoints of one": lambda: journal.checkpoints(ids[0]),
                "layers of one": lambda: register.of_volume(VolumeId(ids[0])),
            }
            times = {name: [timed(task) for _ in range(rounds)] for name, task in work.items()}
        size = round((home / "journal.db").stat().st_size / (1 << 20), 1)
    return {name: summary(values) for name, values in times.items()} | {
        "executions": executions,
        "checkpoints": executions * _STEPS,
        "events": executions * _EVENTS,
        "MiB": size,
    }
