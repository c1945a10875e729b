"""The examples do what they say, with the installed command; and a run can be watched from another terminal."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command_bench import ROOT, CommandBench, command_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(180)]

EXAMPLES = ROOT / "examples"
STATES = {
    "rename": ["succeeded"] * 5,
    "unwinding": ["succeeded", "rolled_back", "rolled_back", "failed"],
    "limits": ["failed"] * 7 + ["succeeded"],
}
VERDICTS = ["timeout", "out_of_memory", "output_limit", "pids_limit", "disk_limit", None, None, None]
WATCHED = """\
version: 1
name: watched
sandbox: {disk: 32MiB, memory: 128MiB}
steps:
  - {id: talk, type: command, run: "echo begun; sleep 3"}
  - {id: end, type: command, run: "true"}
"""


@pytest.fixture
def bench() -> Iterator[CommandBench]:
    with command_bench() as made:
        yield made


@pytest.mark.parametrize("name", sorted(STATES))
def test_an_example_ends_as_it_says(name: str, bench: CommandBench) -> None:
    shutil.copytree(EXAMPLES / name / "project", bench.project, dirs_exist_ok=True)
    good = set(STATES[name]) == {"succeeded"}
    plan = (EXAMPLES / name / "plan.yaml").read_text()
    outcome = bench.run(plan, expect=0 if good else 1)
    assert [step["state"] for step in outcome["steps"]] == STATES[name], outcome
    assert outcome["state"] == ("completed" if good else "failed")
    if name == "limits":
        assert [step["verdict"] for step in outcome["steps"]] == VERDICTS, outcome["steps"]
        assert outcome["steps"][-1]["stdout_tail"] == "README\n"
    if name == "unwinding":
        assert bench("diff", "last", "--stat").stdout.count("\n") >= 1
        assert outcome["head"] == "c1"
        assert "migrated/log" in bench("diff", "last", "c1..c4").stdout


def test_every_example_is_a_good_plan(bench: CommandBench) -> None:
    plans = sorted(EXAMPLES.glob("*/plan.yaml"))
    assert {path.parent.name for path in plans} >= set(STATES)
    listed = (EXAMPLES / "README.md").read_text()
    for plan in plans:
        bench("check", plan)
        assert f"({plan.relative_to(EXAMPLES)})" in listed


def test_a_run_is_watched_from_another_process(bench: CommandBench) -> None:
    running = bench.start(WATCHED)
    running.until("talk (command)")
    (found,) = bench.shown("status")
    assert found["state"] == "running"
    assert bench.shown("progress", "last")["step_id"] in ("talk", "end", None)
    watcher = bench.begin("events", "last", "--follow", "--json")
    code, stdout = running.ended()
    assert (code, json.loads(stdout)["state"]) == (0, "completed")
    code, followed = watcher.ended()
    assert code == 0
    assert [json.loads(line)["kind"] for line in followed.splitlines()][-1] == "execution-completed"
    assert bench("logs", "last", "talk").stdout.count("begun") == 1


def test_a_second_process_cannot_drive_a_running_execution(bench: CommandBench) -> None:
    running = bench.start(WATCHED.replace("sleep 3", "sleep 90"))
    running.until("talk (command)")
    for verb in (("resume", "last"), ("rollback", "last"), ("apply", "last")):
        done = bench(*verb, expect=None)
        assert done.returncode in (2, 3), (verb, done)
        assert "fault of sandstone" not in done.stderr, done.stderr
    assert bench.shown("gc", "--all")["executions"] == []
    running.process.send_signal(signal.SIGINT)
    code, stdout = running.ended()
    assert (code, json.loads(stdout)["state"]) == (130, "cancelled")


def test_run_with_apply_changes_the_project_only_when_it_completed(bench: CommandBench) -> None:
    head = "version: 1\nsandbox: {disk: 32MiB, memory: 128MiB}\nsteps:\n  - {type: command, run: echo 1 > made.txt}\n"
    made: Path = bench.project / "made.txt"
    failed = bench.run(head + "  - {type: command, run: 'false', on_failure: stop}\n", "--apply", expect=1)
    assert (failed["applied"], made.exists()) == (False, False)
    outcome = bench.run(head, "--apply")
    assert (outcome["applied"], made.read_text()) == (True, "1\n")
