"""A kill at any moment of a run loses no checkpoint, touches no file of the user and leaves what `resume` finishes.

How many rounds: SANDSTONE_KILL_ROUNDS (default 4). Which moments: SANDSTONE_KILL_SEED.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.e2e.command_bench import CommandBench, command_bench
from tests.faults.kill_harness import LOG, STEPS, KillRound, make_project

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]

ROUNDS = int(os.environ.get("SANDSTONE_KILL_ROUNDS", "4"))
SEED = os.environ.get("SANDSTONE_KILL_SEED", "sandstone")


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
