"""What comes next, as a table of states."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine.execution.decide import Finish, RunStep, SkipStep, ancestry, decide, estimate_left, undone_steps
from engine.journal.records import CheckpointKind, CheckpointRecord, StepRecord
from engine.journal.states import ExecutionState, StepState

P, R, S, F, K, B = (
    StepState.PENDING,
    StepState.RUNNING,
    StepState.SUCCEEDED,
    StepState.FAILED,
    StepState.SKIPPED,
    StepState.ROLLED_BACK,
)


def steps(*states: StepState) -> list[StepRecord]:
    return [StepRecord("e", i, f"s{i}", "command", state, detail="boom") for i, state in enumerate(states)]


@pytest.mark.parametrize(
    ("states", "needs", "expected"),
    [
        ([P, P], [[], []], RunStep(0)),
        ([S, P], [[], ["s0"]], RunStep(1)),
        ([S, B], [[], []], RunStep(1)),
        ([F, P], [[], ["s0"]], SkipStep(1, "it needs s0, which did not succeed")),
        ([F, K, P], [[], ["s0"], ["s1"]], SkipStep(2, "it needs s1, which did not succeed")),
        ([F, P], [[], []], RunStep(1)),
        ([S, S], [[], []], Finish(ExecutionState.COMPLETED)),
        ([F, S], [[], []], Finish(ExecutionState.FAILED, "step s0 failed: boom")),
        ([], [], Finish(ExecutionState.COMPLETED)),
    ],
)
def test_the_next_decision_follows_from_states_and_needs(
    states: list[StepState], needs: list[list[str]], expected: object
) -> None:
    assert decide(needs, steps(*states)) == expected


def checkpoint(number: int, parent: str | None) -> CheckpointRecord:
    now = datetime.now(UTC)
    return CheckpointRecord("e", number, f"n{number}", CheckpointKind.AUTOMATIC, None, parent, None, now)


def test_ancestry_lists_the_line_down_to_the_start() -> None:
    tree = [checkpoint(0, None), checkpoint(1, "c0"), checkpoint(2, "c0"), checkpoint(3, "c2")]
    assert [c.id for c in ancestry(tree, "c3")] == ["c3", "c2", "c0"]


def test_only_steps_above_the_target_are_undone() -> None:
    tree = [checkpoint(0, None), checkpoint(1, "c0"), checkpoint(2, "c1")]
    done = [
        StepRecord("e", 0, "a", "command", S, checkpoint="c1"),
        StepRecord("e", 1, "b", "command", S, checkpoint="c2"),
        StepRecord("e", 2, "c", "command", F),
    ]
    assert [s.id for s in undone_steps(done, tree, "c1")] == ["b"]
    assert [s.id for s in undone_steps(done, tree, "c0")] == ["a", "b"]


def test_the_estimate_scales_what_was_done_and_is_unknown_before_the_first_step() -> None:
    assert estimate_left(1000, 0, 4) is None
    assert estimate_left(1000, 1, 4) == 3000
