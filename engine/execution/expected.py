"""Which sandboxes a run will claim next, so that they can be started before they are needed. Pure."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from engine.execution.run import Run
from engine.execution.step import sandbox_spec
from engine.journal.states import StepState
from engine.plan.model import Plan, Step
from sandbox.spec import SandboxSpec

EXPECT_AHEAD: Final = 8
RUNS_SANDBOX: Final = frozenset({"command", "test", "validation"})
_CLAIMING: Final = (StepState.PENDING, StepState.RUNNING, StepState.ROLLED_BACK)


def claimants(plan: Plan) -> list[int]:
    """Indexes of the steps that claim a sandbox, in order; asked once a run, because few steps of a long plan do."""
    return [index for index, step in enumerate(plan.steps) if _claims(plan, step)]


def upcoming_specs(run: Run, after: int) -> list[SandboxSpec]:
    """The sandboxes that the steps behind `after` still have to claim, in order. Pure."""
    plan = run.context.plan
    specs: list[SandboxSpec] = []
    for index in run.claimants[bisect_right(run.claimants, after) :]:
        if run.steps[index].state not in _CLAIMING:
            continue
        specs += _specs_of(plan, run.context.image_id, plan.steps[index])
        if len(specs) >= EXPECT_AHEAD:
            break
    return specs


def first_specs(plan: Plan, image_id: str) -> list[SandboxSpec]:
    """The sandboxes that the plan's first steps claim, in order, as far as anybody looks ahead. Pure."""
    specs = [spec for step in plan.steps[:EXPECT_AHEAD] for spec in _specs_of(plan, image_id, step)]
    return specs[:EXPECT_AHEAD]


def _specs_of(plan: Plan, image_id: str, step: Step) -> list[SandboxSpec]:
    """The sandboxes that one attempt of the step claims, in order."""
    count = _claims(plan, step)
    return [sandbox_spec(image_id, plan.settings_for(step))] * count if count else []


def _claims(plan: Plan, step: Step) -> int:
    """How many sandboxes one attempt of the step claims."""
    acts = step.type in RUNS_SANDBOX or getattr(step, "patch", None) is not None
    checks = bool(plan.checks_for(step)) and step.type not in RUNS_SANDBOX
    return acts + checks
