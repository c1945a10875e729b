"""Processes held by pidfd: children of the test stand in for a container's PID 1."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.docker import pidfd
from sandbox.docker.pidfd import InitProcess
from sandbox.docker.verdict import GateExit

CONTAINER = "c0ffee"
SECOND = timedelta(seconds=1)


def proc_of(root: Path, pid: int, cgroup: str = f"0::/docker/{CONTAINER}\n") -> Path:
    (root / str(pid)).mkdir()
    (root / str(pid) / "cgroup").write_text(cgroup)
    return root


async def child(code: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE)


async def test_a_death_is_noticed_once_and_the_exit_code_is_the_kernels(tmp_path: Path) -> None:
    process = await child("import sys; sys.stdin.read(); sys.exit(7)")
    init = InitProcess.open(process.pid, CONTAINER, proc_of(tmp_path, process.pid))
    assert init is not None
    deaths: list[str] = []
    init.on_death(lambda: deaths.append("heard"))
    assert not init.dead.is_set()
    await process.communicate(b"")
    assert await init.wait_dead(SECOND)
    init.on_death(lambda: deaths.append("late"))
    assert deaths == ["heard", "late"]
    assert await init.exit_status() in (GateExit(code=7), None)
    init.close()
    init.close()


@pytest.mark.skipif(pidfd._kernel_version() < (6, 15), reason="this kernel keeps no exit status for pidfds")
async def test_a_signal_is_told_from_a_code(tmp_path: Path) -> None:
    process = await child("import sys; sys.stdin.read()")
    init = InitProcess.open(process.pid, CONTAINER, proc_of(tmp_path, process.pid))
    assert init is not None
    assert init.kill()
    assert await init.wait_dead(SECOND)
    await process.communicate(b"")
    assert await init.exit_status() == GateExit(signal=signal.SIGKILL)
    assert init.kill()
    init.close()


async def test_an_old_kernel_says_nothing_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pidfd, "_kernel_version", lambda: (5, 10))
    process = await child("pass")
    init = InitProcess.open(process.pid, CONTAINER, proc_of(tmp_path, process.pid))
    await process.communicate(b"")
    if init is not None:
        assert await init.wait_dead(SECOND)
        assert await init.exit_status() is None
        init.close()


async def test_the_living_are_waited_for_no_longer_than_asked(tmp_path: Path) -> None:
    process = await child("import sys; sys.stdin.read()")
    init = InitProcess.open(process.pid, CONTAINER, proc_of(tmp_path, process.pid))
    assert init is not None
    assert not await init.wait_dead(timedelta(milliseconds=1))
    await process.communicate(b"")
    init.close()


async def test_a_number_that_belongs_to_somebody_else_is_not_taken(tmp_path: Path) -> None:
    process = await child("import sys; sys.stdin.read()")
    stranger = proc_of(tmp_path, process.pid, "0::/user.slice\n")
    assert InitProcess.open(process.pid, CONTAINER, stranger) is None
    await process.communicate(b"")


async def test_a_process_that_is_gone_is_not_taken(tmp_path: Path) -> None:
    process = await child("pass")
    await process.communicate(b"")
    assert InitProcess.open(process.pid, CONTAINER, tmp_path) is None
