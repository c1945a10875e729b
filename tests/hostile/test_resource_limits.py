"""Steps that take more than they were given: each limit holds, ends the attempt, and has its own verdict."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandbox.spec import GIB, MIB, ContainerLimits, Verdict
from tests.fakes.docker_world import DockerWorld
from tests.hostile.conftest import Attack

pytestmark = [pytest.mark.docker, pytest.mark.root]

SMALL = ContainerLimits(memory_bytes=64 * MIB, pids=32, tmp_bytes=8 * MIB)
EAT_MEMORY = "perl -e '$x = \"x\" x (1 << 20); push @y, $x . $_ while ++$_'"


async def test_a_fork_bomb_hits_the_process_limit(attack: Attack) -> None:
    result = await attack("bomb() { bomb | bomb & wait; }; bomb", SMALL, timeout=timedelta(seconds=5))
    assert result.verdict is Verdict.PIDS_LIMIT
    assert result.usage.pids_limit_hits > 0


async def test_the_step_may_have_as_many_processes_as_it_was_given(attack: Attack) -> None:
    """The command's own process is one of them; the gate's are not counted against it."""
    spawn = "for (1..%d) { $pid = fork(); defined $pid or exit 9; $pid or sleep 60 }"
    assert (await attack(("perl", "-e", spawn % (SMALL.pids - 1)), SMALL)).ok
    assert (await attack(("perl", "-e", spawn % (SMALL.pids + 4)), SMALL)).verdict is Verdict.PIDS_LIMIT


async def test_a_memory_hog_is_out_of_memory(attack: Attack) -> None:
    result = await attack(EAT_MEMORY, SMALL)
    assert result.verdict is Verdict.OUT_OF_MEMORY
    assert result.usage.oom_kills > 0
    assert result.usage.memory_peak_bytes is not None
    assert result.usage.memory_peak_bytes <= SMALL.memory_bytes


async def test_a_hog_whose_parent_says_all_is_well_is_out_of_memory(attack: Attack) -> None:
    result = await attack(f"( {EAT_MEMORY} ) || true; echo fine; exit 0", SMALL)
    assert result.verdict is Verdict.OUT_OF_MEMORY
    assert result.exit_code == 0
    assert not result.ok


async def test_a_hog_that_hangs_afterwards_is_out_of_memory_not_late(attack: Attack) -> None:
    result = await attack(f"( {EAT_MEMORY} ); sleep 60", SMALL, timeout=timedelta(seconds=3))
    assert result.verdict is Verdict.OUT_OF_MEMORY


async def test_a_hog_that_kills_the_watchdog_is_still_out_of_memory(attack: Attack) -> None:
    """Without the watchdog the gate waits for the release itself, so the counters are read all the same."""
    command = (
        "for p in /proc/[0-9]*; do p=${p#/proc/}; "
        f"[ $p = 1 ] || [ $p = $$ ] || kill -9 $p; done; ( {EAT_MEMORY} ); exit 0"
    )
    result = await attack(command, SMALL)
    assert result.verdict is Verdict.OUT_OF_MEMORY


async def test_a_disk_filler_hits_the_disk_limit(attack: Attack, world: DockerWorld) -> None:
    limits = ContainerLimits(memory_bytes=GIB)
    result = await attack("cat /dev/zero >big; exit 0", limits)
    assert result.verdict is Verdict.DISK_LIMIT
    usage, limit = world.store.volume_usage("run-1")
    assert usage.bytes <= limit.bytes


@pytest.mark.parametrize("piece", ["4k", "1M", "16M"])
async def test_a_disk_filler_of_large_writes_hits_the_disk_limit(attack: Attack, piece: str) -> None:
    """The kernel refuses a piece of a large write as a whole: up to 2 MiB stay free for ever."""
    result = await attack(f"dd if=/dev/zero of=big bs={piece} 2>&1; true", ContainerLimits(memory_bytes=GIB))
    assert b"No space left" in result.stdout.text()
    assert result.verdict is Verdict.DISK_LIMIT


async def test_a_step_that_stays_within_its_disk_has_no_verdict(attack: Attack) -> None:
    result = await attack("dd if=/dev/zero of=big bs=1M count=52", ContainerLimits(memory_bytes=GIB))
    assert (result.exit_code, result.verdict) == (0, None)


async def test_an_inode_filler_hits_the_disk_limit(attack: Attack) -> None:
    result = await attack('perl -e \'while (open F, ">", "f" . $i++) { close F }\'; exit 0')
    assert result.verdict is Verdict.DISK_LIMIT


async def test_a_disk_filler_that_hangs_is_stopped_long_before_its_time(attack: Attack) -> None:
    result = await attack("cat /dev/zero >big; sleep 60", timeout=timedelta(seconds=50))
    assert result.verdict is Verdict.DISK_LIMIT
    assert result.run_time < timedelta(seconds=25)


async def test_tmp_home_and_run_are_small_and_in_memory(attack: Attack) -> None:
    for directory in ("/tmp", "/home/sandbox", "/dev/shm"):
        result = await attack(f"head -c 300000000 /dev/zero >{directory}/big", ContainerLimits(memory_bytes=GIB))
        assert (result.exit_code, result.verdict) == (1, None), directory
        assert b"No space left" in result.stderr.text()
    assert (await attack("echo x >/run/file")).exit_code != 0


async def test_files_in_tmp_run_out_before_the_hosts_memory_does(attack: Attack) -> None:
    command = 'perl -e \'while (open F, ">", "/tmp/f" . $i++) { close F }; print $i\''
    result = await attack(command, timeout=timedelta(seconds=60))
    assert int(result.stdout.text()) < 70_000


async def test_no_file_may_be_larger_than_the_file_size_limit(attack: Attack) -> None:
    result = await attack("truncate -s 1T sparse")
    assert result.exit_code != 0


async def test_cpu_time_is_held_to_its_share(attack: Attack) -> None:
    command = "for i in 1 2 3; do ( while :; do :; done ) & done; sleep 600"
    result = await attack(command, ContainerLimits(cpus=0.5), timeout=timedelta(seconds=2))
    assert result.verdict is Verdict.TIMEOUT
    assert result.usage.cpu_time is not None
    assert result.usage.cpu_time < timedelta(seconds=1.4)


async def test_open_files_are_limited(attack: Attack) -> None:
    result = await attack('perl -e \'while (open my $f, "<", "/dev/null") { push @f, $f }; print scalar @f\'')
    assert int(result.stdout.text()) < 16_384
