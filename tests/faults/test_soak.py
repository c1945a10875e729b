"""A short soak (`make soak` is the long one), and that it would see what it looks for.

How many kills: SANDSTONE_SOAK_KILLS (here: default 12, of a controller a third of them). Which moments:
SANDSTONE_SOAK_SEED.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.faults.serve_victim import serve_victim
from tests.faults.soak import Soak, make_project, soak
from tests.faults.soak_report import Counts, machine, page, summary
from tests.faults.victims import RunVictim, quick_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]

KILLS = int(os.environ.get("SANDSTONE_SOAK_KILLS", "12"))
SEED = os.environ.get("SANDSTONE_SOAK_SEED", "sandstone")


@pytest.mark.timeout(120 + 20 * KILLS)
@pytest.mark.parametrize(("victim", "kills"), [("run", KILLS), ("serve", -(-KILLS // 3))])
def test_kills_at_random_moments_lose_nothing_leave_nothing_and_pass_nothing_falsely(victim: str, kills: int) -> None:
    counts = soak(victim, kills, SEED, minutes=60, record=None)
    assert counts.clean, counts.faults
    assert counts.kills == kills == len(counts.recovery_ms)
    assert sum(counts.phases.values()) == kills


def test_a_soak_goes_on_from_its_record_and_stops_when_its_time_is_over(tmp_path: Path) -> None:
    record = tmp_path / "soak.json"
    before = Counts("seed", kills=2, recovery_ms=[1.0, 2.0], phases={"starting": 2})
    record.write_text(json.dumps(asdict(before)))
    counts = soak("run", 3, "seed", minutes=1, record=record)
    assert counts.kills == 3
    assert sum(counts.phases.values()) == 3
    assert json.loads(record.read_text())["kills"] == 3
    assert soak("run", 10, "seed", minutes=0, record=record).kills == 3
    assert Counts.read(record, "another seed", "run").kills == 0
    assert Counts.read(record, "seed", "serve").kills == 0


def test_each_victim_has_its_section_of_the_page_and_a_soak_leaves_the_other_one_alone() -> None:
    both = page(Counts("seed", "serve", kills=7), page(Counts("seed", "run", kills=5)))
    assert both.index("| kills | 7 |") < both.index("| kills | 5 |")
    again = page(Counts("seed", "run", kills=6), both)
    assert "| kills | 7 |" in again
    assert "| kills | 6 |" in again
    assert "| kills | 5 |" not in again
    assert page(Counts("seed", "run", kills=6), again) == again
    assert "events lost" not in "".join(summary(Counts("seed", "run")))


def test_the_machine_is_told_without_what_a_builder_adds_to_the_kernels_version() -> None:
    assert "-" not in machine()


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


def test_a_soak_of_a_controller_sees_an_event_that_is_lost_or_told_twice_and_a_request_that_is_done_twice() -> None:
    with quick_bench() as bench, serve_victim(bench) as victim:
        make_project(bench)
        this = Soak(bench, victim, Counts("seed", "serve"))
        found = bench.run("version: 1\nsteps:\n  - {id: make, type: file_create, path: log, content: x}\n")
        execution_id = found["execution_id"]
        ((last,),) = bench.rows("SELECT MAX(sequence) FROM events WHERE execution_id=?", execution_id)
        told = list(range(1, last + 1))
        for heard in (told, [*told, last + 1], [*told[:2], 2, *told[2:]], told[1:]):
            victim.heard[execution_id] = heard
            this._listen(execution_id)
        assert this.counts.misheard == 3
        victim.heard.clear()
        victim.width = 0
        this._compare({execution_id: "completed"}, {execution_id: "completed"}, {})
        assert this.counts.made_twice == 1
        victim.recover()
        (bench.home / "leases" / "left").touch()
        assert victim.left() == ["leases/left"]
        this.rest()
        assert this.counts.leaks == 1
        bench("status")
