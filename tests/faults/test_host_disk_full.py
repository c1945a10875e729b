"""The disk that the state is on has no room at any moment of a command: it ends with an error that says so, nothing
that was committed is lost, and when there is room again everything goes on.

The command is stopped (SIGSTOP) at a named point, the disk is filled, and it goes on: so each of its writes from
there on meets a full disk in turn.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import disk_directory
from tests.e2e.command_bench import Running
from tests.faults.consistency import assert_in_order, checkpoints, executions
from tests.faults.points import THOROUGH
from tests.faults.private_engine import wait_until
from tests.faults.small_disk import KIB, SmallDisk, small_disk
from tests.faults.victims import QuickBench, quick_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]

DISK_MIB: Final = 160
PLAN: Final = (
    "version: 1\nsandbox: {disk: 16MiB, memory: 64MiB}\nsteps:\n"
    '  - {id: make, type: file_create, path: log, content: "make\\n"}\n'
    "  - {id: first, type: command, run: 'echo first >> log; seq 20000'}\n"
    "  - {id: roomy, type: command, run: 'echo roomy >> log; cat log', sandbox: {disk: 17MiB}}\n"
    '  - {id: last, type: file_create, path: last, content: ""}\n'
)
LOG: Final = "make\nfirst\nroomy\n"


@pytest.fixture(scope="module")
def disk() -> Iterator[SmallDisk]:
    with small_disk(DISK_MIB) as made:
        yield made


@pytest.fixture
def bench(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> Iterator[QuickBench]:
    monkeypatch.setenv("SANDSTONE_TEST_DIR", str(disk.directory))
    assert disk_directory() == disk.directory
    with quick_bench() as made:
        (made.project / "kept").write_text("kept\n")
        yield made
        disk.make_room()


def stopped(running: Running, point: str) -> None:
    """Wait until it has stopped itself."""

    def state() -> str:
        if running.process.poll() is not None:
            _, stdout = running.ended()
            raise AssertionError(f"{point} was never reached: {stdout}\n{running.stderr.decode()}")
        return Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()[0]

    wait_until(lambda: state() == "T", f"stop at {point}")


def goes_on_with_a_full_disk(running: Running, point: str, disk: SmallDisk, leave_bytes: int) -> tuple[int, str]:
    stopped(running, point)
    disk.fill(leave_bytes)
    running.process.send_signal(signal.SIGCONT)
    return running.ended()


def assert_said(code: int, running: Running) -> None:
    """It succeeded, or said what is wrong in one line; never with a traceback, never as a failure of the plan."""
    said = running.stderr.decode()
    assert "Traceback" not in said, said
    if code != 0:
        assert code == 3, said
        assert "space" in said or "disk" in said or "full" in said, said


RUN_POINTS: Final = (
    "lease-taken",
    "volume-reserved",
    "volume-formatted",
    "volume-recorded",
    "before-journal-row:1",
    "before-journal-row:3",
    "layer-recorded:2",
    "before-mount",
    "before-seal:2",
    "layer-synced:2",
    "log-written",
    "journal-row-written:5",
)


@pytest.mark.parametrize("room_kib", [0, 60] if THOROUGH else [60])
@pytest.mark.parametrize("point", RUN_POINTS)
def test_a_run_that_meets_a_full_disk_says_so_and_goes_on_when_there_is_room(
    point: str, room_kib: int, bench: QuickBench, disk: SmallDisk
) -> None:
    running = bench.begin("run", "-", "--json", stdin=PLAN, failpoint=f"{point}:STOP")
    code, _ = goes_on_with_a_full_disk(running, point, disk, room_kib * KIB)
    assert_said(code, running)
    disk.make_room()
    committed = {key: checkpoints(bench, key) for key in executions(bench)}
    shown = bench.shown("status")
    assert_in_order(bench, committed, point)
    for found in shown:
        execution_id = found["execution_id"]
        assert found["state"] in ("paused", "completed"), "the plan is not at fault"
        if found["state"] == "paused":
            assert "interrupted" in bench.shown("status", execution_id)["error"]
            bench("resume", execution_id, "--quiet")
        outcome = bench.shown("status", execution_id)
        assert outcome["state"] == "completed"
        assert outcome["steps"][2]["stdout_tail"] == LOG
    assert bench.left() == []


@pytest.mark.parametrize("command", ["run", "status", "apply", "export", "gc", "rollback"])
def test_a_command_that_finds_the_disk_full_says_so_and_works_when_there_is_room(
    command: str, bench: QuickBench, disk: SmallDisk
) -> None:
    done = bench.run(PLAN)
    arguments = {
        "run": ("run", "-", "--quiet"),
        "status": ("status",),
        "apply": ("apply", "last"),
        "export": ("export", "last", "--patch", str(bench.directory / "out.patch")),
        "gc": ("gc", "--all"),
        "rollback": ("rollback", "last"),
    }[command]
    before = bench.files()
    disk.fill()
    running = bench.begin(*arguments, stdin=PLAN)
    code, _ = running.ended()
    assert_said(code, running)
    if code != 0:
        assert bench.files() == before
    disk.make_room()
    bench("status")
    if code != 0:
        bench(*arguments, stdin=PLAN)
    assert bench.left() == []
    if command not in ("gc", "run"):
        assert bench.shown("status", done["execution_id"])["steps"][2]["stdout_tail"] == LOG


@pytest.mark.parametrize("room_kib", [0, 12] if THOROUGH else [12])
@pytest.mark.parametrize("point", ["apply-recorded", "apply-staged-one", "apply-staged", "apply-swapped-one:2"])
def test_an_apply_that_meets_a_full_disk_is_all_or_nothing(
    point: str, room_kib: int, bench: QuickBench, disk: SmallDisk
) -> None:
    bench.run(PLAN)
    before = bench.files()
    running = bench.begin("apply", "last", failpoint=f"{point}:STOP")
    code, _ = goes_on_with_a_full_disk(running, point, disk, room_kib * KIB)
    assert_said(code, running)
    disk.make_room()
    bench("status")
    if bench.files() != before:
        # Once committed it is applied, even if the end of it could not be written down before there was room.
        assert (bench.project / "log").read_text() == LOG
        assert (bench.project / "last").exists()
        bench("apply", "last", "--undo")
    else:
        assert code != 0
    assert bench.files() == before
    bench("apply", "last")
    assert (bench.project / "log").read_text() == LOG
    assert not [path for path in bench.files() if ".sandstone" in path]
    assert bench.left() == []
