"""The container engine, or what it stands on, dies or takes the sandbox away: the step is never called a failure of
its own code, it is tried again by the rule or the execution can be taken up, and nothing is left.

All against a second engine of the tests' own, so that the machine's lives on.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.e2e.command_bench import Running
from tests.faults.private_engine import IMAGE, PrivateEngine, private_engine, wait_until
from tests.faults.victims import QuickBench, quick_bench

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(180)]

HEAD: Final = (
    f"version: 1\nenvironment: {{image: '{IMAGE}'}}\nsandbox: {{disk: 16MiB, memory: 64MiB}}\n"
    "retry: {attempts: 5, initial: 500ms, factor: 1.5}\nsteps:\n"
)
PLAN: Final = HEAD + (
    "  - {id: before, type: command, run: 'echo before > log'}\n"
    "  - {id: slow, type: test, run: 'test -e go || sleep 100; cat log'}\n"
    "  - {id: after, type: command, run: 'echo after >> log; cat log'}\n"
)
"""The step in the middle ends at once when there is a file `go` in the project: an attempt that starts then."""


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    with private_engine() as made:
        yield made


@pytest.fixture
def bench(engine: PrivateEngine) -> Iterator[QuickBench]:
    engine.start()
    with quick_bench({"DOCKER_HOST": f"unix://{engine.socket}"}) as made:
        (made.project / "kept").write_text("kept\n")
        yield made
        engine.start()


def in_the_slow_step(bench: QuickBench, engine: PrivateEngine, plan: str = PLAN) -> Running:
    running = bench.begin("run", "-", "--json", stdin=plan)
    running.until("slow (test)")
    wait_until(lambda: busy(engine), "container that runs the step")
    return running


def busy(engine: PrivateEngine) -> list[str]:
    """The container that runs the slow step."""
    tops = {row["Id"]: engine.ask(f"/containers/{row['Id']}/top") for row in engine.containers()}
    return [found for found, top in tops.items() if "sleep 100" in str(top.get("Processes"))]


def working(engine: PrivateEngine) -> str:
    (found,) = busy(engine)
    return found


def let_the_next_attempt_end(bench: QuickBench) -> None:
    (bench.project / "go").touch()


def assert_tried_again(running: Running, bench: QuickBench) -> Any:
    """The attempt was lost, not failed; another one succeeded; nothing is left after the next command."""
    code, stdout = running.ended()
    outcome = json.loads(stdout)
    assert (code, outcome["state"]) == (0, "completed"), (outcome, running.stderr)
    assert outcome["steps"][-1]["stdout_tail"] == "before\nafter\n"
    retries = [event["data"] for event in bench.events() if event["kind"] == "step-retrying"]
    assert retries, "the attempt was not lost"
    assert {retry["verdict"] for retry in retries} == {"sandbox_unavailable"}
    assert all(retry["reason"] for retry in retries)
    assert "step-failed" not in {event["kind"] for event in bench.events()}
    bench.run(HEAD + "  - {id: a, type: command, run: 'true'}\n")
    assert bench.left() == []
    return outcome


def test_an_engine_killed_in_mid_step_costs_an_attempt(bench: QuickBench, engine: PrivateEngine) -> None:
    running = in_the_slow_step(bench, engine)
    engine.kill()
    let_the_next_attempt_end(bench)
    engine.start()
    assert_tried_again(running, bench)


def test_an_engine_that_stays_away_ends_the_execution_as_unavailable_and_it_can_be_taken_up(
    bench: QuickBench, engine: PrivateEngine
) -> None:
    running = in_the_slow_step(bench, engine, PLAN.replace("attempts: 5", "attempts: 2"))
    engine.kill()
    code, stdout = running.ended()
    outcome = json.loads(stdout)
    assert (code, outcome["state"]) == (1, "failed"), running.stderr
    slow = outcome["steps"][1]
    assert (slow["state"], slow["verdict"], slow["exit_code"]) == ("failed", "sandbox_unavailable", None)
    assert "container" in outcome["error"] or "engine" in outcome["error"]
    assert outcome["steps"][2]["state"] == "skipped"
    assert bench("run", "-", stdin=PLAN, expect=3).stderr.count("error:") == 1
    engine.start()
    let_the_next_attempt_end(bench)
    bench("rollback", outcome["execution_id"], "--to", "before")
    taken_up = bench.shown("resume", outcome["execution_id"], "--quiet")
    assert taken_up["state"] == "completed"
    assert taken_up["steps"][-1]["stdout_tail"] == "before\nafter\n"
    assert bench.left() == []


def test_an_engine_that_goes_between_two_steps_costs_attempts_of_the_next(
    bench: QuickBench, engine: PrivateEngine
) -> None:
    plan = HEAD + (
        "  - {id: before, type: command, run: 'echo before > log'}\n"
        + "".join(f"  - {{id: f{n}, type: file_create, path: f/{n}, content: x}}\n" for n in range(40))
        + "  - {id: after, type: command, run: 'echo after >> log; cat log'}\n"
    )
    running = bench.begin("run", "-", "--json", stdin=plan)
    running.until("[2/42]")
    engine.kill()
    running.until("[42/42]")
    engine.start()
    assert_tried_again(running, bench)


def test_a_sandbox_whose_shim_is_killed_costs_an_attempt(bench: QuickBench, engine: PrivateEngine) -> None:
    running = in_the_slow_step(bench, engine)
    os.kill(engine.shim_of(working(engine)), signal.SIGKILL)
    let_the_next_attempt_end(bench)
    assert_tried_again(running, bench)


def test_a_sandbox_that_somebody_removes_costs_an_attempt(bench: QuickBench, engine: PrivateEngine) -> None:
    running = in_the_slow_step(bench, engine)
    let_the_next_attempt_end(bench)
    engine.ask(f"/containers/{working(engine)}?force=1", "DELETE")
    assert_tried_again(running, bench)


def test_a_sandbox_that_somebody_kills_costs_an_attempt(bench: QuickBench, engine: PrivateEngine) -> None:
    running = in_the_slow_step(bench, engine)
    let_the_next_attempt_end(bench)
    engine.ask(f"/containers/{working(engine)}/kill", "POST")
    assert_tried_again(running, bench)


def test_waiting_sandboxes_that_somebody_removes_are_replaced(bench: QuickBench, engine: PrivateEngine) -> None:
    running = in_the_slow_step(bench, engine)
    used = working(engine)
    wait_until(lambda: len(engine.containers()) > 1, "sandbox that waits")
    for row in engine.containers():
        if row["Id"] != used:
            engine.ask(f"/containers/{row['Id']}?force=1", "DELETE")
    let_the_next_attempt_end(bench)
    engine.ask(f"/containers/{used}?force=1", "DELETE")
    assert_tried_again(running, bench)


def test_an_image_that_goes_away_is_named_and_nothing_is_tried_in_vain(
    bench: QuickBench, engine: PrivateEngine
) -> None:
    engine.make_image("sandstone-test:gone")
    plan = PLAN.replace(IMAGE, "sandstone-test:gone")
    bench.begin("run", "-", stdin=plan, failpoint="before-mount:2").ended()
    assert bench.shown("status", "last")["state"] == "paused"
    assert any("Deleted" in row for row in engine.ask("/images/sandstone-test:gone?force=1", "DELETE"))
    outcome = bench.shown("resume", "last", "--quiet", expect=1)
    slow = outcome["steps"][1]
    assert (slow["state"], slow["verdict"], slow["exit_code"]) == ("failed", "sandbox_unavailable", None)
    assert "image" in slow["detail"]
    assert slow["attempts"] == 2, "the one that was killed, and one"
    assert bench.left() == []
