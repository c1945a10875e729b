"""A kill at any moment of a run loses no checkpoint, touches no file of the user and leaves what `resume` finishes.
Ctrl-C at any moment leaves nothing at all.

How many rounds of each: SANDSTONE_KILL_ROUNDS (default 3). Which moments: SANDSTONE_KILL_SEED.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.command_bench import CommandBench, command_bench
from tests.faults.kill_harness import LOG, PLAN, STEPS, KillRound, make_project

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]

ROUNDS = int(os.environ.get("SANDSTONE_KILL_ROUNDS", "3"))
SEED = os.environ.get("SANDSTONE_KILL_SEED", "sandstone")
INTERPRETER_INTERRUPTED = b"Fatal Python error: init_import_site"
"""What Python itself says, and ends with 1, when Ctrl-C comes before it has begun to load the program."""


@pytest.fixture(scope="module")
def bench() -> Iterator[CommandBench]:
    with command_bench() as made:
        make_project(made)
        yield made


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_killed_run_loses_nothing_and_can_be_finished(number: int, bench: CommandBench) -> None:
    this = KillRound(bench, random.Random(f"{SEED} {number}"))
    outcome = this.play()
    execution_id = outcome["execution_id"]
    assert [step["state"] for step in outcome["steps"]] == ["succeeded"] * STEPS, this.told
    assert outcome["steps"][-1]["stdout_tail"] == LOG, this.told
    changes = {found["path"]: found["change"] for found in bench.shown("diff", execution_id)["changes"]}
    assert changes["kept.txt"] == "modified", this.told
    assert changes["d/200"] == "added", this.told
    assert "blob" not in changes, this.told
    assert "d/e/f" not in changes, this.told
    assert bench.left() == [], this.told


@pytest.mark.parametrize("number", range(ROUNDS))
def test_ctrl_c_at_any_moment_ends_cleanly_without_the_help_of_another_command(
    number: int, bench: CommandBench
) -> None:
    draw = random.Random(f"{SEED} interrupt {number}")
    before = bench.files()
    running = bench.start(PLAN)
    told = f"interrupted {running.at_a_moment(draw, STEPS)}"
    running.process.send_signal(signal.SIGINT)
    code, stdout = running.ended()
    assert bench.left() == [], told
    assert bench.files() == before, told
    if not stdout:  # It had not begun to listen: nothing had been started.
        before_the_program = code == 1 and running.stderr.startswith(INTERPRETER_INTERRUPTED)
        assert before_the_program or code in (130, -signal.SIGINT), (told, code, running.stderr)
        return
    outcome = json.loads(stdout)
    expected = {"cancelled": 130, "completed": 0, None: 130}
    assert code == expected[outcome["state"]], (told, outcome, running.stderr)
    assert {step["state"] for step in outcome["steps"]} <= {"succeeded", "pending"}, told
