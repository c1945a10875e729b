"""Programs of the host that making an image needs."""

from __future__ import annotations

import asyncio
import os
import select
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.docker.base import bootstrap_command
from sandbox.docker.programs import run_program
from sandbox.docker.turns import turn

LONG = timedelta(seconds=30)


async def test_lines_come_as_they_are_printed_from_both_streams() -> None:
    lines: list[str] = []
    ended = await run_program(["sh", "-c", "echo a; echo b >&2; printf c; exit 3"], limit=LONG, progress=lines.append)
    assert ended.exit_code == 3
    assert sorted(lines) == ["a", "b", "c"]


async def test_only_the_end_of_the_output_is_kept() -> None:
    ended = await run_program(["sh", "-c", "i=0; while [ $i -lt 500 ]; do echo $i; i=$((i+1)); done"], limit=LONG)
    assert ended.output_tail.splitlines()[-1] == "499"
    assert len(ended.output_tail.splitlines()) == 40


async def test_a_line_without_end_is_taken_in_pieces() -> None:
    command = "head -c 1000000 /dev/zero | tr '\\0' x"
    ended = await run_program(["sh", "-c", command], limit=LONG)
    assert ended.exit_code == 0
    assert set(ended.output_tail.replace("\n", "")) == {"x"}


class Child:
    """A grandchild that would run for ten minutes, and a descriptor by which its end is seen."""

    command = "sleep 600 & echo $!; wait"

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self._pidfd = -1

    def progress(self, line: str) -> None:
        self._pidfd = os.pidfd_open(int(line))
        self.started.set()

    def ends(self) -> bool:
        """Killing is not waiting: a killed process takes a moment to be gone."""
        gone, _, _ = select.select([self._pidfd], [], [], 10)
        os.close(self._pidfd)
        return bool(gone)


async def test_a_program_that_takes_too_long_is_ended_with_its_children() -> None:
    child = Child()
    ended = await run_program(["sh", "-c", child.command], limit=timedelta(seconds=0.5), progress=child.progress)
    assert ended.exit_code is None
    assert child.ends()


async def test_cancelling_ends_the_program_and_its_children() -> None:
    child = Child()
    task = asyncio.create_task(run_program(["sh", "-c", child.command], limit=LONG, progress=child.progress))
    await child.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert child.ends()


async def test_only_one_at_a_time_has_the_turn_and_the_next_gets_it_then(tmp_path: Path) -> None:
    order: list[str] = []
    first_has_it, first_may_go = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with turn(tmp_path / "locks/a"):
            order.append("first in")
            first_has_it.set()
            await first_may_go.wait()
            order.append("first out")

    async def second() -> None:
        await first_has_it.wait()
        first_may_go.set()
        async with turn(tmp_path / "locks/a"):
            order.append("second in")

    await asyncio.gather(first(), second())
    assert order == ["first in", "first out", "second in"]


async def test_waiting_for_a_turn_can_be_cancelled(tmp_path: Path) -> None:
    async with turn(tmp_path / "lock"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), turn(tmp_path / "lock"):
                raise AssertionError("two have the turn")


async def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        async with turn(tmp_path / "lock"):
            raise AssertionError("followed")
    assert os.listdir(tmp_path) == ["lock"]


@pytest.mark.parametrize(("root", "mode"), [(True, "root"), (False, "unshare")])
def test_a_base_can_be_made_with_and_without_root(root: bool, mode: str, tmp_path: Path) -> None:
    command = bootstrap_command("/usr/bin/mmdebstrap", tmp_path / "base.tar", root)
    assert f"--mode={mode}" in command
    assert command[-2:] == ["bookworm", str(tmp_path / "base.tar")]
