"""`sandstone fork` as a user does it: real containers, real layers, several commands at once, kills."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.command_bench import CommandBench, command_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(240)]

ROUNDS = int(os.environ.get("SANDSTONE_KILL_ROUNDS", "3"))
SEED = os.environ.get("SANDSTONE_KILL_SEED", "sandstone")
HEADER = "version: 1\nname: {name}\nsandbox: {{disk: 32MiB, memory: 256MiB}}\nsteps:\n"
PLAN = (
    HEADER.format(name="origin")
    + """\
  - {id: build, type: command, run: "mkdir -p out; seq 1000 > out/built; rm old.txt; echo built"}
  - {id: note, type: file_create, path: note.txt, content: "from the origin\\n"}
  - {id: check, type: command, run: "cat note.txt out/built > joined; echo joined"}
"""
)
OTHER = (
    HEADER.format(name="other")
    + """\
  - {id: look, type: command, run: "test ! -e old.txt && test ! -e note.txt && tail -1 out/built"}
  - {id: change, type: command, run: "echo other > out/built"}
"""
)
FAILING = (
    HEADER.format(name="failing")
    + """\
  - {id: first, type: file_create, path: first.txt, content: "1\\n"}
  - {id: broken, type: command, run: "echo half > half.txt; exit 7"}
"""
)


@pytest.fixture
def bench() -> Iterator[CommandBench]:
    with command_bench() as made:
        (made.project / "old.txt").write_text("old\n")
        (made.project / "kept.txt").write_text("kept\n")
        yield made


def paths(bench: CommandBench, *arguments: str) -> dict[str, str]:
    return {found["path"]: found["change"] for found in bench.shown("diff", *arguments)["changes"]}


def plan_file(bench: CommandBench, text: str) -> str:
    path = bench.directory / "other.yaml"
    path.write_text(text)
    return str(path)


def test_a_fork_goes_on_from_a_checkpoint_and_is_applied_whole(bench: CommandBench) -> None:
    origin = bench.run(PLAN)
    assert origin["state"] == "completed"
    fork = bench.shown("fork", "last", "--from", "note", "--name", "second", "-q")
    assert set(fork) == set(origin)
    assert (fork["state"], fork["name"], fork["head"]) == ("completed", "second", "c1")
    assert fork["forked_from"] == f"{origin['execution_id']}:c2"
    assert [(step["id"], step["checkpoint"]) for step in fork["steps"]] == [
        ("build", "c0"),
        ("note", "c0"),
        ("check", "c1"),
    ]
    assert fork["steps"][0]["stdout_tail"] == "built\n"
    assert "built\n" in bench("logs", "second", "build").stdout
    assert paths(bench, "second") == paths(bench, origin["execution_id"])
    assert paths(bench, "second", "c0") == {"joined": "added"}
    kinds = [event["kind"] for event in bench.events("second")]
    assert kinds[:2] == ["execution-forked", "execution-started"]
    assert kinds.count("step-started") == 1
    other = bench.shown("fork", "second", "--from", "c0", "--plan", plan_file(bench, FAILING), "-q", expect=1)
    assert (other["state"], other["head"]) == ("failed", "c0")
    bench("gc", "--all")
    assert bench.shown("status") == []
    assert list((bench.home / "volumes").iterdir()) == []


def test_forks_run_side_by_side_in_processes_of_their_own_and_outlive_the_origin(bench: CommandBench) -> None:
    origin = bench.run(PLAN)["execution_id"]
    plan = plan_file(bench, OTHER)
    running = [
        bench.begin("fork", origin, "--from", "build", "--plan", plan, "--name", f"f{number}", "--json")
        for number in range(3)
    ]
    outcomes = [json.loads(one.ended()[1]) for one in running]
    assert [outcome["state"] for outcome in outcomes] == ["completed"] * 3
    assert [outcome["steps"][0]["stdout_tail"] for outcome in outcomes] == ["1000\n"] * 3
    bench("gc", "--keep", "3", "--older-than", "0m")
    assert {found["name"] for found in bench.shown("status")} == {"f0", "f1", "f2"}
    assert paths(bench, "f1") == {"old.txt": "deleted", "out": "added", "out/built": "added"}
    assert paths(bench, "f1", "c0") == {"out/built": "modified"}
    bench("export", "f1", "--patch", "-")
    bench("rollback", "f2", "--to", "start")
    assert bench.shown("resume", "f2", "-q")["state"] == "completed"
    bench("apply", "f0")
    assert (bench.project / "out/built").read_text() == "other\n"
    assert not (bench.project / "old.txt").exists()
    conflict = bench("apply", "f1", expect=None)
    assert conflict.returncode == 0  # It brings the same, which is there already.
    (bench.project / "out/built").write_text("mine\n")
    assert bench("apply", "f2", expect=5).stderr.count("out/built") == 1
    bench("gc", "--all")
    assert list((bench.home / "volumes").iterdir()) == []


def test_a_failed_attempt_is_forked_to_try_another_way(bench: CommandBench) -> None:
    failed = bench.run(FAILING, expect=1)
    assert failed["head"] == "c0"
    mend = HEADER.format(name="mend") + "  - {id: mend, type: command, run: 'cat first.txt half.txt > whole.txt'}\n"
    fork = bench.shown("fork", "last", "--from", "broken!failed", "--plan", plan_file(bench, mend), "-q")
    assert fork["state"] == "completed"
    assert set(paths(bench, "mend")) == {"first.txt", "half.txt", "whole.txt"}
    bench("gc", "--older-than", "1h")
    assert set(paths(bench, "mend")) == {"first.txt", "half.txt", "whole.txt"}


@pytest.mark.slow
def test_a_fork_killed_at_any_moment_is_whole_or_not_there(bench: CommandBench) -> None:
    origin = bench.run(PLAN)["execution_id"]
    draw = random.Random(f"{SEED} fork")
    for number in range(ROUNDS):
        running = bench.begin("fork", origin, "--from", "build", "--name", f"k{number}", "--json")
        # Python and its imports take the first part; the fork itself comes soon after.
        seconds = draw.uniform(0.3, 2.0)
        running.for_another(seconds)
        running.process.kill()
        running.ended()
        told = f"killed {seconds:.3f} s after the start"
        shown: list[Any] = bench.shown("status")
        assert bench.left() == [], told
        owners = {volume.name.partition(".")[0].partition("-")[0] for volume in (bench.home / "volumes").iterdir()}
        assert owners == {found["execution_id"] for found in shown}, told
        for found in shown:
            if found["name"] == f"k{number}":
                assert found["forked_from"] == f"{origin}:c1", told
                if found["state"] == "paused":
                    assert bench.shown("resume", found["execution_id"], "-q")["state"] == "completed", told
                assert set(paths(bench, found["execution_id"])) == set(paths(bench, origin)), told
