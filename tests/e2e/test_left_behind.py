"""After a command has ended, in whatever way, nothing of it is on the machine; after a kill, after the next command."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.command_bench import CommandBench, Running, command_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(180)]

HEAD = "version: 1\nsandbox: {disk: 32MiB, memory: 128MiB}\nsteps:\n"
QUICK = HEAD + "  - {id: a, type: command, run: echo 1 > a}\n"
FAILING = HEAD + "  - {id: a, type: command, run: 'echo 1 > a; sleep 60 & exit 3'}\n"
SLOW = HEAD + (
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


def only_execution(bench: CommandBench) -> Any:
    (found,) = bench.shown("status")
    return bench.shown("status", found["execution_id"])


def test_a_success_and_a_failure_leave_nothing(bench: CommandBench) -> None:
    bench.run(QUICK)
    assert bench.left() == []
    bench.run(FAILING, expect=1)
    assert bench.left() == []


@pytest.mark.parametrize("whole_group", [True, False])
def test_ctrl_c_ends_with_130_and_leaves_nothing(whole_group: bool, bench: CommandBench) -> None:
    before = bench.files()
    running = in_the_slow_step(bench)
    if whole_group:
        os.killpg(running.process.pid, signal.SIGINT)
    else:
        running.process.send_signal(signal.SIGINT)
    code, stdout = running.ended()
    outcome = json.loads(stdout)
    assert (code, outcome["state"]) == (130, "cancelled"), running.stderr
    assert [step["state"] for step in outcome["steps"]] == ["succeeded", "pending", "pending"]
    assert bench.left() == []
    assert bench.files() == before


def test_a_second_ctrl_c_ends_at_once_and_the_next_command_cleans_up(bench: CommandBench) -> None:
    running = in_the_slow_step(bench)
    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGINT)
    code, _ = running.ended()
    assert code in (130, -signal.SIGINT)
    assert only_execution(bench)["state"] in ("cancelled", "paused")
    assert bench.left() == []


def test_a_killed_run_is_found_paused_and_resume_finishes_it(bench: CommandBench) -> None:
    before = bench.files()
    running = in_the_slow_step(bench)
    running.process.kill()
    running.ended()
    found = only_execution(bench)
    assert bench.left() == []
    assert found["state"] == "paused"
    assert "interrupted" in found["error"]
    assert [step["state"] for step in found["steps"]] == ["succeeded", "pending", "pending"]
    assert "recovery" in [point["kind"] for point in bench.shown("checkpoints", "last")]
    assert bench.files() == before
    (bench.project / "go").write_text("")
    outcome = bench.shown("resume", "last", "--quiet")
    assert outcome["state"] == "completed"
    assert outcome["steps"][2]["stdout_tail"] == "1\n2\n"
    assert [step["attempts"] for step in outcome["steps"]] == [1, 2, 1]
    assert bench.left() == []


def test_a_live_run_keeps_what_is_its_own_while_another_command_cleans_up(bench: CommandBench) -> None:
    dead, live = in_the_slow_step(bench), in_the_slow_step(bench)
    dead.process.kill()
    dead.ended()
    states = {found["state"] for found in bench.shown("status")}
    assert states == {"paused", "running"}
    live.process.send_signal(signal.SIGINT)
    code, stdout = live.ended()
    outcome = json.loads(stdout)
    assert (code, outcome["state"]) == (130, "cancelled"), live.stderr
    assert bench.left() == []


def test_a_killed_export_leaves_no_half_file(bench: CommandBench) -> None:
    bench.run(HEAD + "  - {id: a, type: command, run: 'seq 400000 > a'}\n")
    target = bench.directory / "out.patch"
    running = bench.begin("export", "last", "--patch", str(target))
    running.process.kill()
    running.ended()
    assert not target.exists() or target.stat().st_size > 2_000_000
    bench("status")
    assert bench.left() == []
