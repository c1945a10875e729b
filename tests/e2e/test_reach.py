"""Verbs on an execution that another `sandstone run` drives, with no controller: that process is reached."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.command_bench import CommandBench, Running, command_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(180)]

SLOW = (
    "version: 1\nsandbox: {disk: 32MiB, memory: 128MiB}\nsteps:\n"
    "  - {id: before, type: command, run: echo 1 > a}\n"
    "  - {id: slow, type: command, run: 'echo 2 >> a; test -e go || sleep 60'}\n"
    "  - {id: after, type: command, run: 'cat a'}\n"
)


@pytest.fixture
def bench() -> Iterator[CommandBench]:
    with command_bench() as made:
        (made.project / "kept.txt").write_text("kept\n")
        yield made


def in_the_slow_step(bench: CommandBench) -> Running:
    running = bench.start(SLOW)
    running.until("slow (command)")
    return running


def kinds(bench: CommandBench) -> list[str]:
    return [event["kind"] for event in bench.events()]


def test_cancel_ends_it_and_its_run_says_so(bench: CommandBench) -> None:
    running = in_the_slow_step(bench)
    cancelled = bench.shown("cancel", "last", "--reason", "enough")
    assert (cancelled["state"], cancelled["error"]) == ("cancelled", "enough")
    code, stdout = running.ended()
    assert (code, json.loads(stdout)["state"]) == (4, "cancelled")
    assert kinds(bench).count("execution-cancelled") == 1
    assert bench.left() == []
    assert not list((bench.home / "reach").iterdir())


def test_pause_rollback_and_resume_reach_it(bench: CommandBench) -> None:
    running = in_the_slow_step(bench)
    assert bench.shown("pause", "last", "--now")["state"] == "paused"
    assert bench.shown("rollback", "last", "--to", "c0")["head"] == "c0"
    (bench.project / "go").write_text("")
    outcome = bench.shown("resume", "last", "--quiet")
    assert outcome["state"] == "completed"
    assert outcome["steps"][2]["stdout_tail"] == "1\n2\n"
    code, stdout = running.ended()
    assert (code, json.loads(stdout)["state"]) == (0, "completed")
    assert kinds(bench)[-1] == "execution-completed"
    assert bench.left() == []


def test_what_a_killed_run_could_be_reached_by_goes_with_the_next_command(bench: CommandBench) -> None:
    running = in_the_slow_step(bench)
    assert bench.shown("pause", "last", "--now")["state"] == "paused"
    assert len(list((bench.home / "reach").iterdir())) >= 2
    running.process.send_signal(signal.SIGKILL)
    running.ended()
    assert bench.shown("status", "last")["state"] == "paused"
    assert list((bench.home / "reach").iterdir()) == []
    (bench.project / "go").write_text("")
    assert bench.shown("resume", "last", "--quiet")["state"] == "completed"
    assert bench.left() == []


def test_what_cannot_be_reached_is_told_with_the_process_that_drives_it(bench: CommandBench) -> None:
    running = in_the_slow_step(bench)
    in_use = f"in use by process {running.process.pid}"
    assert in_use in bench("apply", "last", expect=3).stderr
    running.process.send_signal(signal.SIGSTOP)
    assert in_use in bench("cancel", "last", expect=3).stderr
    running.process.send_signal(signal.SIGCONT)
    running.process.send_signal(signal.SIGTERM)
    running.ended()
    assert bench.shown("status", "last")["state"] == "cancelled"
    assert bench.left() == []
