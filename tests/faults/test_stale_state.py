"""Several processes on one store, stores that are copies of each other, and what the dead left: nobody takes away what
a live process needs, and what a dead one left goes."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command_bench import CommandBench, Running
from tests.faults.consistency import assert_in_order, checkpoints, executions
from tests.faults.private_engine import wait_until
from tests.faults.victims import QuickBench, quick_bench
from tests.leftovers import ask_engine

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow]

HEAD = "version: 1\nsandbox: {disk: 16MiB, memory: 64MiB}\nsteps:\n"
QUICK = HEAD + "  - {id: a, type: command, run: 'echo a > a'}\n"
SLOW = HEAD + (
    "  - {id: before, type: command, run: 'echo before > log'}\n"
    "  - {id: slow, type: command, run: 'sleep 8; echo slow >> log'}\n"
    "  - {id: after, type: command, run: 'cat log'}\n"
)


@pytest.fixture
def bench() -> Iterator[QuickBench]:
    with quick_bench() as made:
        (made.project / "kept").write_text("kept\n")
        yield made


def in_the_slow_step(bench: CommandBench) -> Running:
    running = bench.begin("run", "-", "--json", stdin=SLOW)
    running.until("slow (command)")
    return running


def completed(running: Running) -> Any:
    code, stdout = running.ended()
    outcome = json.loads(stdout)
    assert (code, outcome["state"]) == (0, "completed"), (outcome, running.stderr)
    return outcome


def containers_of(store_id: str) -> dict[str, str]:
    """Those that run: id -> lease of the process whose they are."""
    rows = ask_engine(f'/containers/json?filters={{"label":["sandstone={store_id}"]}}')
    return {row["Id"]: row["Labels"]["sandstone.lease"] for row in rows}


def at_work(store_id: str, processes: int) -> dict[str, str]:
    """The containers, once so many processes have two each: the slow step's, and one that waits for the next step or
    goes with the step before."""

    def two_each() -> bool:
        counts = Counter(containers_of(store_id).values())
        return len(counts) == processes and min(counts.values()) >= 2

    wait_until(two_each, "process with two sandboxes")
    return containers_of(store_id)


def a_copy(bench: QuickBench) -> QuickBench:
    """A bench over a copy of the state directory, made as a backup is: files, without what is mounted."""
    other = bench.directory / "copy"
    other.mkdir()
    shutil.copytree(bench.home, other / "home", ignore=shutil.ignore_patterns("mnt", "reach"))
    shutil.copytree(bench.project, other / "project")
    return replace(bench, directory=other, begun=[])


def test_a_copy_of_a_live_store_is_another_store_and_takes_nothing_from_it(bench: QuickBench) -> None:
    running = in_the_slow_step(bench)
    mine = at_work(bench.store_id, 1)
    other = a_copy(bench)
    assert other.shown("status")[0]["state"] == "paused"
    assert other.run(QUICK)["state"] == "completed"
    assert other.store_id != bench.store_id
    assert containers_of(bench.store_id).keys() & mine.keys(), "the copy removed containers of the live store"
    outcome = completed(running)
    assert outcome["steps"][1]["attempts"] == 1
    assert outcome["steps"][2]["stdout_tail"] == "before\nslow\n"
    assert bench.left() == []
    assert other.shown("resume", outcome["execution_id"], "--quiet")["state"] == "completed"
    assert other.left() == []


def test_a_store_restored_from_a_backup_knows_what_the_backup_knew_and_works(bench: QuickBench) -> None:
    kept = bench.run(QUICK)["execution_id"]
    backup = a_copy(bench)
    later = bench.run(QUICK)["execution_id"]
    running = in_the_slow_step(bench)
    running.process.kill()
    running.ended()
    bench("status")
    assert bench.left() == []
    shutil.rmtree(bench.home)
    backup.home.rename(bench.home)
    assert [found["execution_id"] for found in bench.shown("status")] == [kept]
    assert bench("status", later, expect=2).stderr
    assert bench.shown("diff", kept)["changes"][0]["path"] == "a"
    assert bench.run(QUICK)["state"] == "completed"
    assert_in_order(bench, {key: checkpoints(bench, key) for key in executions(bench)}, "restored")


def test_a_store_keeps_its_id_from_command_to_command(bench: QuickBench) -> None:
    bench("status")
    first = bench.store_id
    bench.run(QUICK)
    assert bench.store_id == first
    (bench.home / "store-id").write_text(first)  # as it was written before the place was kept
    bench("status")
    assert bench.store_id == first
    moved: Path = bench.home.rename(bench.directory / "moved")
    moved.rename(bench.home)
    bench("status")
    assert bench.store_id == first


def test_commands_that_find_the_same_death_at_once_put_it_in_order_once(bench: QuickBench) -> None:
    dead = bench.begin("run", "-", "--json", stdin=SLOW, failpoint="after-mount:2")
    dead.ended()
    committed = {key: checkpoints(bench, key) for key in executions(bench)}
    together = [bench.begin("status", "--json") for _ in range(5)]
    for running in together:
        code, stdout = running.ended()
        assert code == 0, running.stderr
        assert json.loads(stdout)[0]["state"] in ("paused", "running"), "running: another is at it just now"
    assert bench.shown("status")[0]["state"] == "paused"
    assert_in_order(bench, committed, "five commands at once")
    assert [event["kind"] for event in bench.events()].count("execution-paused") == 1


def test_two_resumes_at_once_drive_it_once(bench: QuickBench) -> None:
    bench.begin("run", "-", "--json", stdin=SLOW, failpoint="after-mount:2").ended()
    bench("status")
    both = [bench.begin("resume", "last", "--json") for _ in range(2)]
    codes = []
    for running in both:
        code, _ = running.ended()
        codes.append(code)
        if code != 0:
            assert b"in use by process" in running.stderr or b"not paused" in running.stderr, running.stderr
    assert sorted(codes)[0] == 0
    assert sorted(codes)[1] in (2, 3)
    assert bench.shown("status", "last")["steps"][1]["attempts"] == 2
    assert bench.left() == []


def test_waiting_sandboxes_of_the_dead_go_and_those_of_the_living_stay(bench: QuickBench) -> None:
    live = in_the_slow_step(bench)
    dead = in_the_slow_step(bench)
    at_work(bench.store_id, 2)
    dead.process.kill()
    dead.ended()
    bench("status")
    assert len(set(containers_of(bench.store_id).values())) == 1
    assert completed(live)["steps"][1]["attempts"] == 1
    assert bench.left() == []


def test_a_lease_file_that_nobody_can_read_as_one_is_taken_for_a_dead_one(bench: QuickBench) -> None:
    bench("status")
    for name in ("0123456789ab", "not a lease", ".hidden"):
        (bench.home / "leases" / name).write_text("rubbish")
    bench("status")
    assert bench.left() == []
