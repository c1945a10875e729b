"""Which sandboxes a run will claim next, so that they can be started before they are needed. Pure."""

from __future__ import annotations

from typing import Final

from engine.execution.run import Run
from engine.execution.step import sandbox_spec
from engine.journal.states import StepState
from sandbox.spec import SandboxSpec

EXPECT_AHEAD: Final = 8
RUNS_SANDBOX: Final = frozenset({"command", "test", "validation"})


def upcoming_specs(run: Run, after: int) -> list[SandboxSpec]:
    """The sandboxes that the steps behind `after` still have to claim, in order. Pure."""
    specs = []
    for record in run.steps[after + 1 :]:
        if record.state not in (StepState.PENDING, StepState.RUNNING, StepState.ROLLED_BACK):
            continue
        step = run.context.plan.steps[record.index]
        settings = run.context.plan.settings_for(step)
        if step.type in RUNS_SANDBOX or getattr(step, "patch", None) is not None:
            specs.append(sandbox_spec(run.context.image_id, settings))
        if settings.checks and step.type not in RUNS_SANDBOX:
            specs.append(sandbox_spec(run.context.image_id, settings))
        if len(specs) >= EXPECT_AHEAD:
            break
    return specs
