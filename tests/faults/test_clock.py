"""The wall clock jumps by a day in the middle of a run, or the controller stands still for a while.

A small preloaded library (`moved_clock.c`) gives the commands a wall clock of their own; what the kernel counts (the
monotonic clock) goes on as it is, as on a machine whose clock is set.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.command_bench import CommandBench, Running, command_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]

HEAD: Final = "version: 1\nsandbox: {disk: 16MiB, memory: 64MiB, timeout: 20s}\nsteps:\n"
SLEEPER: Final = HEAD + (
    "  - {id: before, type: command, run: 'true'}\n"
    "  - {id: slow, type: command, run: 'sleep 2; echo slept'}\n"
    "  - {id: after, type: command, run: 'echo end'}\n"
)


DAYS: Final = {"+0": 0, "+1d": 86400, "-1d": -86400, "+2d": 2 * 86400}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to build the moved clock with (Debian: gcc libc6-dev; fix: .ci/setup testing)")
    made = tmp_path_factory.mktemp("clock") / "moved_clock.so"
    source = Path(__file__).with_name("moved_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", made, source], check=True)
    return made


@pytest.fixture
def bench(library: Path) -> Iterator[CommandBench]:
    with command_bench() as made:
        made.variables = {"LD_PRELOAD": str(library), "MOVED_CLOCK": str(made.directory / "clock")}
        (made.project / "kept").write_text("kept\n")
        set_clock(made, "+0")
        yield made


def set_clock(bench: CommandBench, offset: str) -> None:
    """Set the wall clock of the commands, running ones too, to the machine's and so much."""
    clock = bench.directory / "clock"
    clock.touch()
    with clock.open("r+b") as file:
        file.write(DAYS[offset].to_bytes(8, "little", signed=True))


def outcome_of(running: Running) -> Any:
    code, stdout = running.ended()
    assert code == 0, (stdout, running.stderr)
    return json.loads(stdout)


def test_the_clock_of_the_commands_can_be_moved_at_all(bench: CommandBench) -> None:
    set_clock(bench, "+1d")
    bench.run(HEAD + "  - {id: a, type: file_create, path: a, content: ''}\n")
    (event, *_) = bench.events()
    ahead = datetime.fromisoformat(event["time"]) - datetime.now(UTC)
    assert timedelta(hours=23) < ahead < timedelta(hours=25)


@pytest.mark.parametrize("jump", ["+1d", "-1d"])
def test_a_clock_that_jumps_in_mid_step_ends_nothing_early_or_late(jump: str, bench: CommandBench) -> None:
    """And elapsed times are those that passed, events stay in the order of their numbers."""
    began = time.monotonic()
    running = bench.begin("run", "-", "--json", stdin=SLEEPER)
    running.until("slow (command)")
    set_clock(bench, jump)
    outcome = outcome_of(running)
    took_ms = (time.monotonic() - began) * 1e3
    slow = outcome["steps"][1]
    assert (slow["state"], slow["verdict"], slow["attempts"]) == ("succeeded", None, 1)
    assert 1900 < slow["duration_ms"] < took_ms
    assert 1900 < outcome["duration_ms"] < took_ms
    events = bench.events()
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    kinds = [event["kind"] for event in events]
    assert kinds[0] == "execution-started"
    assert kinds[-1] == "execution-completed"
    assert kinds.count("step-completed") == 3
    times = [datetime.fromisoformat(event["time"]) for event in events]
    assert abs(times[-1] - times[0]) > timedelta(hours=23), "the clock did not jump"
    assert bench.left() == []


@pytest.mark.parametrize("jump", ["+1d", "-1d"])
def test_a_clock_that_jumped_makes_no_live_process_a_dead_one_and_no_dead_one_live(
    jump: str, bench: CommandBench
) -> None:
    # Long enough for a machine that stands still for a while: neither may be over when one is killed.
    waits = ("sleep 10", "test -e go || sleep 19")
    live, dead = (bench.begin("run", "-", "--json", stdin=SLEEPER.replace("sleep 2", wait)) for wait in waits)
    for running in (live, dead):
        running.until("slow (command)")
    set_clock(bench, jump)
    dead.process.kill()
    dead.ended()
    states = sorted(found["state"] for found in bench.shown("status"))
    assert states == ["paused", "running"]
    assert outcome_of(live)["state"] == "completed"
    assert bench.left() == []
    paused = next(found for found in bench.shown("status") if found["state"] == "paused")
    (bench.project / "go").touch()
    assert bench.shown("resume", paused["execution_id"], "--quiet")["state"] == "completed"
    assert bench.left() == []


def test_the_newest_execution_is_the_last_accepted_whatever_the_clock_said(bench: CommandBench) -> None:
    first = bench.run(HEAD + "  - {id: a, type: file_create, path: a, content: ''}\n")["execution_id"]
    set_clock(bench, "-1d")
    second = bench.run(HEAD + "  - {id: a, type: file_create, path: a, content: ''}\n")["execution_id"]
    assert [found["execution_id"] for found in bench.shown("status")] == [second, first]
    assert bench.shown("status", "last")["execution_id"] == second


def test_gc_by_age_takes_nothing_whose_end_lies_in_the_future(bench: CommandBench) -> None:
    set_clock(bench, "+1d")
    ended = bench.run(HEAD + "  - {id: a, type: file_create, path: a, content: ''}\n")["execution_id"]
    set_clock(bench, "+0")
    assert bench.shown("gc", "--older-than", "1m")["executions"] == []
    set_clock(bench, "+2d")
    assert bench.shown("gc", "--older-than", "1h")["executions"] == [ended]


def test_a_controller_that_stood_still_enforces_a_time_limit_late_and_once(bench: CommandBench) -> None:
    """SIGSTOP is what a laptop's sleep is to it. The limit of 2 s passes while nobody looks; the step ends by it, and
    not a second time by anything else."""
    plan = HEAD + "  - {id: slow, type: command, run: 'sleep 60', timeout: 2s}\n"
    running = bench.begin("run", "-", "--json", stdin=plan)
    running.until("slow (command)")
    running.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, running.process.pid, os.WSTOPPED | os.WNOWAIT)
    running.for_another(4)
    running.process.send_signal(signal.SIGCONT)
    code, stdout = running.ended()
    outcome = json.loads(stdout)
    (slow,) = outcome["steps"]
    assert (code, outcome["state"]) == (1, "failed")
    assert (slow["verdict"], slow["attempts"]) == ("timeout", 1)
    assert slow["duration_ms"] > 3500
    kinds = [event["kind"] for event in bench.events()]
    assert kinds.count("step-failed") == 1
    assert kinds.count("execution-failed") == 1
    assert bench.left() == []


def test_a_command_that_ended_while_the_controller_stood_still_has_succeeded(bench: CommandBench) -> None:
    running = bench.begin("run", "-", "--json", stdin=SLEEPER.replace("timeout: 20s", "timeout: 5s"))
    running.until("slow (command)")
    running.process.send_signal(signal.SIGSTOP)
    running.for_another(7)
    running.process.send_signal(signal.SIGCONT)
    code, stdout = running.ended()
    slow = json.loads(stdout)["steps"][1]
    assert (code, slow["verdict"], slow["state"]) == (0, None, "succeeded")
    assert bench.left() == []
