"""`command` steps: one command in a fresh sandbox; what it changed is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.execution.attempt import ActionResult, AttemptContext
from engine.plan.model import CommandStep, TestStep
from sandbox.spec import WORKSPACE, ExecRequest

DEFAULT_ENV: Final[Mapping[str, str]] = {"PYTHONDONTWRITEBYTECODE": "1"}
"""So that running Python leaves no bytecode in the difference; a plan's env may say otherwise."""


def exec_request(
    context: AttemptContext, step: CommandStep | TestStep, extra_env: Mapping[str, str] | None = None
) -> ExecRequest:
    """The request of a step that runs a command."""
    command = step.run if isinstance(step.run, str) else tuple(step.run)
    return ExecRequest(
        command=command,
        cwd=f"{WORKSPACE}/{step.cwd}" if step.cwd and step.cwd != "." else WORKSPACE,
        env={**DEFAULT_ENV, **context.settings.env, **(extra_env or {})},
        secrets=context.execution.secrets,
        stdin=step.stdin or "",
        timeout=context.settings.timeout,
        output_limit_bytes=context.settings.output_bytes,
    )


async def run_command(context: AttemptContext) -> ActionResult:
    """Run it; its exit code and the limits it hit decide."""
    step = context.step
    assert isinstance(step, CommandStep)
    return ActionResult(exec=await context.run(exec_request(context, step), context.on_output))
