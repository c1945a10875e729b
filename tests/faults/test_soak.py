"""A short soak (`make soak` is the long one), and that it would see what it looks for.

How many kills: SANDSTONE_SOAK_KILLS (here: default 12). Which moments: SANDSTONE_SOAK_SEED.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults.soak import Counts, Soak, make_project, page, soak, summary
from tests.faults.victims import RunVictim, quick_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]

KILLS = int(os.environ.get("SANDSTONE_SOAK_KILLS", "12"))
SEED = os.environ.get("SANDSTONE_SOAK_SEED", "sandstone")


@pytest.mark.timeout(120 + 10 * KILLS)
def test_kills_at_random_moments_lose_nothing_leave_nothing_and_pass_nothing_falsely() -> None:
    counts = soak(KILLS, SEED, minutes=60, record=None)
    assert counts.clean, counts.faults
    assert counts.kills == KILLS == len(counts.recovery_ms)
    assert sum(counts.phases.values()) == KILLS


def test_a_soak_goes_on_from_its_record_and_stops_when_its_time_is_over(tmp_path: Path) -> None:
    record = tmp_path / "soak.json"
    before = Counts("seed", kills=2, recovery_ms=[1.0, 2.0], phases={"starting": 2})
    record.write_text(json.dumps(asdict(before)))
    counts = soak(3, "seed", minutes=1, record=record)
    assert counts.kills == 3
    assert sum(counts.phases.values()) == 3
    assert json.loads(record.read_text())["kills"] == 3
    assert soak(10, "seed", minutes=0, record=record).kills == 3
    assert soak(10, "another seed", minutes=0, record=record).kills == 0
    assert "| kills | 3 |" in page(counts)
    assert summary(counts)["lost checkpoints"] == 0


def test_a_soak_sees_a_lost_checkpoint_a_leak_and_a_false_pass() -> None:
    with quick_bench() as bench:
        make_project(bench)
        this = Soak(bench, RunVictim(bench), Counts("seed"))
        this.kill_once()
        this.finish()
        found = bench.run("version: 1\nsteps:\n  - {id: make, type: file_create, path: log, content: x}\n")
        this._judge(found["execution_id"])
        assert this.counts.falsely_passed == 1
        committed = {found["execution_id"]: bench.rows("SELECT 7, 'gone', NULL, NULL")}
        (bench.home / "leases" / "left").touch()
        this._compare({found["execution_id"]: "completed"}, {found["execution_id"]: "completed"}, committed)
        assert (this.counts.lost_checkpoints, this.counts.leaks) == (1, 1)
        this._compare(
            {found["execution_id"]: "completed"}, {found["execution_id"]: "paused"}, {found["execution_id"]: []}
        )
        assert this.counts.disagreements == 1
        bench("status")
