"""Which sandboxes come next is told from the steps that claim one, however many others there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.clock import ManualClock
from engine.execution.admission import Root
from engine.execution.expected import EXPECT_AHEAD, claimants, first_specs, upcoming_specs
from engine.execution.hide import HiddenPaths
from engine.execution.opening import context_of, run_of
from engine.execution.run import Run
from engine.journal.records import CheckpointKind, CheckpointRecord, StepRecord
from engine.journal.states import StepState
from tests.fakes.engine_world import plan_of
from tests.fakes.journal_world import record_of

ID = "a" * 32


def run_with(types: Sequence[str], states: Sequence[StepState]) -> Run:
    bodies = {
        "command": {"type": "command", "run": "true"},
        "file_create": {"type": "file_create", "path": "new.txt", "content": ""},
    }
    plan = plan_of([{"id": f"s{index}", **bodies[kind]} for index, kind in enumerate(types)])
    context = context_of(ID, plan, Root(Path("/w"), 1, 2, (0, 0)), "sha256:0", {}, HiddenPaths(Path("/w")))
    start = CheckpointRecord(ID, 0, "start", CheckpointKind.AUTOMATIC, None, None, None, ManualClock().now())
    steps = [
        replace(StepRecord(ID, index, step.id, step.type), state=state)
        for index, (step, state) in enumerate(zip(plan.steps, states, strict=True))
    ]
    return run_of(record_of(ID, ManualClock()), context, steps, start, -1, ())


STEPS = st.lists(
    st.tuples(st.sampled_from(["command", "file_create"]), st.sampled_from(StepState)), min_size=1, max_size=30
)


@given(STEPS, st.integers(-1, 30))
def test_what_is_told_is_what_looking_at_every_step_tells(steps: list[tuple[str, StepState]], after: int) -> None:
    run = run_with([kind for kind, _ in steps], [state for _, state in steps])
    left = (StepState.PENDING, StepState.RUNNING, StepState.ROLLED_BACK)
    open_commands = sum(kind == "command" and state in left for kind, state in steps[after + 1 :])
    assert len(upcoming_specs(run, after)) == min(open_commands, EXPECT_AHEAD)


def test_a_fresh_run_expects_what_was_foreseen_when_it_was_accepted() -> None:
    run = run_with(["command", "file_create", "command"], [StepState.PENDING] * 3)
    assert upcoming_specs(run, -1) == first_specs(run.context.plan, "sha256:0")
    assert claimants(run.context.plan) == [0, 2]
