"""A kill at any point of a fork leaves a whole fork that can be resumed, or nothing of it; never a half one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from engine.app import Application, open_application
from engine.journal.records import ExecutionRecord
from engine.journal.states import ExecutionState
from sandbox.workspace import kernel
from tests.faults.fork_child import POINTS

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[2]
WHOLE_FROM = POINTS.index("recorded")


def kill_at(directory: Path, point: str) -> None:
    command = [sys.executable, "-m", "tests.faults.fork_child", os.fspath(directory), point]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


async def forks_of(application: Application) -> tuple[ExecutionRecord, list[ExecutionRecord]]:
    found = await asyncio.to_thread(application.journal.executions)
    return found[-1], found[:-1]


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_fork_is_whole_or_not_there(point: str, disk_tmp: Path) -> None:
    kill_at(disk_tmp, point)
    asyncio.run(next_command(disk_tmp / "home", whole=POINTS.index(point) >= WHOLE_FROM))
    assert _names(disk_tmp / "home/volumes") == []
    assert kernel.mounts_below(os.fspath(disk_tmp)) == []


async def next_command(home: Path, *, whole: bool) -> None:
    """What the next process finds and can do. whole: the fork is there."""
    async with open_application(home, engine=False) as application:
        origin, forks = await forks_of(application)
        assert origin.state is ExecutionState.COMPLETED
        assert len(forks) == whole
        assert application.store.volumes() == [origin.id, *(fork.id for fork in forks)]
        assert [change.path for change in await application.results.changes(origin.id)] == [b"one.txt", b"two.txt"]
        for fork in forks:
            assert (fork.state, fork.forked_from) == (ExecutionState.PAUSED, f"{origin.id}:c1")
            await application.engine.resume(fork.id)
            assert (await application.engine.wait(fork.id)).state is ExecutionState.COMPLETED
            assert [change.path for change in await application.results.changes(fork.id)] == [b"one.txt", b"two.txt"]
            assert [change.path for change in await application.results.changes(fork.id, "c0")] == [b"two.txt"]
        assert set(_names(home / "logs")) <= {origin.id, *(fork.id for fork in forks)}
        await application.gc(older_than=timedelta(0), keep=None, dry_run=False)
        assert application.store.volumes() == []


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []
