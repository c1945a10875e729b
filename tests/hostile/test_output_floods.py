"""Steps that write too much or write it oddly: bounded memory, a live event loop, exact bytes."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.spec import GIB, MIB, ExecRequest, Stream, Verdict
from tests.fakes.docker_world import DockerWorld
from tests.hostile.conftest import Attack

pytestmark = [pytest.mark.docker, pytest.mark.root]


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def longest_pause(stop: asyncio.Event) -> float:
    """The longest that this coroutine was kept waiting for the event loop, in seconds."""
    loop = asyncio.get_running_loop()
    worst = 0.0
    while not stop.is_set():
        before = loop.time()
        await asyncio.sleep(0.005)
        worst = max(worst, loop.time() - before - 0.005)
    return worst


async def test_a_flood_within_its_limit_keeps_memory_flat_and_the_loop_alive(world: DockerWorld) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    stop = asyncio.Event()
    pause = asyncio.create_task(longest_pause(stop))
    before = resident_bytes()
    peak = before

    def watch(stream: Stream, chunk: bytes) -> None:
        nonlocal peak
        peak = max(peak, resident_bytes())

    request = ExecRequest("head -c 400000000 /dev/zero", output_limit_bytes=8 * GIB, timeout=timedelta(seconds=60))
    result = await sandbox.run(request, watch)
    stop.set()
    assert result.ok
    assert result.stdout.total_bytes == 400_000_000
    assert len(result.stdout.head) + len(result.stdout.tail) == 16 * MIB
    assert peak - before < 64 * MIB
    assert await pause < 0.25


async def test_a_flood_for_all_of_its_time_keeps_memory_flat_and_the_loop_alive(world: DockerWorld) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    stop = asyncio.Event()
    pause = asyncio.create_task(longest_pause(stop))
    before = resident_bytes()
    peak = before

    def watch(stream: Stream, chunk: bytes) -> None:
        nonlocal peak
        peak = max(peak, resident_bytes())

    request = ExecRequest("cat /dev/zero", output_limit_bytes=1 << 50, timeout=timedelta(seconds=5))
    result = await sandbox.run(request, watch)
    stop.set()
    assert result.verdict is Verdict.TIMEOUT
    assert result.stdout.total_bytes > 100 * MIB
    assert peak - before < 64 * MIB
    assert await pause < 0.25


async def test_a_flood_over_its_limit_is_killed(attack: Attack) -> None:
    result = await attack("yes", output_limit_bytes=MIB)
    assert result.verdict is Verdict.OUTPUT_LIMIT
    assert result.stdout.total_bytes == MIB
    assert result.run_time < timedelta(seconds=10)


async def test_a_flood_on_both_streams_is_counted_together(attack: Attack) -> None:
    result = await attack("yes & yes >&2", output_limit_bytes=MIB)
    assert result.verdict is Verdict.OUTPUT_LIMIT
    assert result.stdout.total_bytes + result.stderr.total_bytes == MIB


async def test_a_gigabyte_without_a_newline_is_nothing_special(attack: Attack) -> None:
    result = await attack("head -c 1000000000 /dev/zero", output_limit_bytes=100 * MIB)
    assert result.verdict is Verdict.OUTPUT_LIMIT
    assert result.stdout.total_bytes == 100 * MIB


async def test_single_bytes_in_great_number_cost_no_more_than_their_size(attack: Attack) -> None:
    before = resident_bytes()
    result = await attack("perl -e '$| = 1; print \"x\" for 1..200000'")
    assert result.stdout.text() == b"x" * 200_000
    assert resident_bytes() - before < 32 * MIB


async def test_every_byte_value_arrives_as_it_was(attack: Attack) -> None:
    result = await attack("perl -e 'print map chr, 0..255'")
    assert result.stdout.text() == bytes(range(256))


async def test_a_step_that_makes_its_output_non_blocking_and_fills_it_ends_as_ever(attack: Attack) -> None:
    """O_NONBLOCK belongs to the open pipe, which the gate would share if it did not open its own."""
    command = (
        "perl -MFcntl -e 'for my $f (*STDOUT, *STDERR) { fcntl($f, F_SETFL, O_NONBLOCK | O_WRONLY); "
        '1 while defined syswrite $f, "x" x 4096 }; exit 3\''
    )
    result = await attack(command, output_limit_bytes=GIB)
    assert (result.exit_code, result.verdict) == (3, None)


async def test_a_step_that_closes_its_streams_early_ends_as_ever(attack: Attack) -> None:
    result = await attack("echo seen; exec >&- 2>&- <&-; exit 5")
    assert (result.exit_code, result.verdict, result.stdout.text()) == (5, None, b"seen\n")


async def test_a_step_that_never_reads_a_large_stdin_ends_as_ever(attack: Attack) -> None:
    result = await attack("exit 4", stdin="x" * 2_000_000)
    assert (result.exit_code, result.verdict) == (4, None)


async def test_a_large_stdin_arrives_whole(attack: Attack) -> None:
    result = await attack("wc -c", stdin="ab\n" * 1_000_000)
    assert result.stdout.text() == b"3000000\n"
