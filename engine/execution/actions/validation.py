"""`validation` steps: checks over a read-only view of the workspace as it is; they change nothing."""

from __future__ import annotations

from engine.execution.attempt import ActionResult, AttemptContext, told
from engine.plan.model import ValidationStep


async def run_validation(context: AttemptContext) -> ActionResult:
    """Run the checks; any finding that fails its check fails the step."""
    step = context.step
    assert isinstance(step, ValidationStep)
    report = await context.validation.check(
        checks=step.checks,
        run=context.look,
        changed=None,
        paths=step.paths or None,
        since_commit=step.changed,
        timeout=context.settings.timeout,
        policy=context.settings.findings,
        before=context.look_back,
    )
    return ActionResult(
        problems=() if report.ok else (report.summary,),
        keep_layer=False,
        **told(report),
    )
