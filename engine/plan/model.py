"""The plan: what to do, in which environment, under which policy. Immutable data, complete and checked.

A `Plan` from `engine.plan.parse` has passed every rule. One made in code has passed those on single values;
`engine.plan.check.find_problems` tells whether it keeps those across steps too. Every step of a plan has an id.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from engine.plan import values
from engine.plan.leaves import Env, EnvName, Image, ShellText, StepId, Title, distinct, read_by, ruled
from engine.plan.settings import FindingPolicy, OnFailure, PlanModel, RetrySettings, SandboxSettings, StepSettings
from engine.plan.steps import (
    ROLLBACK_TO,
    Checks,
    CommandStep,
    FailurePolicy,
    FileCreateStep,
    FileDeleteStep,
    FileEditStep,
    Insert,
    Replace,
    Step,
    StepBase,
    TestStep,
    ValidationStep,
)
from sandbox.spec import ContainerLimits

__all__ = [
    "CommandStep",
    "Environment",
    "FileCreateStep",
    "FileDeleteStep",
    "FileEditStep",
    "FindingPolicy",
    "Insert",
    "OnFailure",
    "Plan",
    "PlanHeader",
    "Replace",
    "RetrySettings",
    "SandboxSettings",
    "Step",
    "StepBase",
    "StepSettings",
    "TestStep",
    "ValidationStep",
]

MAX_STEPS: Final = 10_000
"""How many steps a plan may have."""


class Environment(PlanModel):
    """The image that steps run in."""

    image: Image | None = Field(
        default=None, description="A local image with /bin/sh; nothing is ever pulled for a step."
    )
    setup: tuple[ShellText, ...] = Field(
        default=(),
        max_length=100,
        description="Shell commands run once, with network, over the image; the result is kept as an image.",
    )


class PlanHeader(PlanModel):
    """A plan without its steps."""

    version: Annotated[Literal[1], read_by(values.read_version)] = Field(description="Version of the plan language: 1.")
    name: Title = Field(default="", description="What the plan is for, for people.")
    environment: Environment = Field(
        default=Environment(), description="What the steps run in; absent: the image of this project."
    )
    sandbox: SandboxSettings = Field(
        default=SandboxSettings(), description="Limits and policy of every step's sandbox."
    )
    env: Env = Field(default={}, validate_default=True, description="Environment variables of every step.")
    secrets: Annotated[tuple[EnvName, ...], ruled(distinct)] = Field(
        default=(),
        max_length=100,
        description="Names of variables whose values come from the caller, are masked in output and never stored.",
    )
    retry: RetrySettings | None = Field(
        default=None,
        description="Try failed steps again. Without it only a sandbox that could not be had is tried again.",
    )
    on_failure: FailurePolicy = OnFailure.ROLLBACK
    rollback_to: StepId | None = Field(default=None, description=ROLLBACK_TO)
    checks: Checks = Field(
        default=(), description="Checks that must hold of what a step changed, after every such step."
    )

    findings: FindingPolicy | None = Field(default=None, description="Which findings of checks count.")


class Plan(PlanHeader):
    """A whole plan. `steps` run in order; each has an id."""

    steps: tuple[Step, ...] = Field(min_length=1, max_length=MAX_STEPS, description="What to do, in order.")

    @model_validator(mode="before")
    @classmethod
    def _name_steps(cls, data: object) -> object:
        """Give steps that have no id the id `step-N`."""
        if isinstance(data, dict) and isinstance(data.get("steps"), list | tuple):
            return {**data, "steps": [with_id(step, number) for number, step in enumerate(data["steps"], 1)]}
        return data

    @cached_property
    def _index(self) -> dict[str, int]:
        return {step.id: index for index, step in enumerate(self.steps)}

    @cached_property
    def _canonical(self) -> str:
        data = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def to_json(self) -> str:
        """The plan as canonical JSON with all defaults written out; reads back as an equal plan."""
        return self._canonical

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The plan whose canonical JSON is `text`, of any size. For what was a plan before: it is not told
        where a fault is, and rules across steps are not looked at.

        Raises:
          pydantic.ValidationError: `text` was not written by `to_json` of this version.
        """
        return cls.model_validate_json(text)

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of the canonical JSON: equal plans have equal digests."""
        return hashlib.sha256(self._canonical.encode()).hexdigest()

    def step(self, step_id: str) -> Step:
        """The step with this id.

        Raises:
          KeyError: the plan has no such step.
        """
        return self.steps[self._index[step_id]]

    def settings_for(self, step: StepBase) -> StepSettings:
        """The policy of one of this plan's steps, resolved.

        Raises:
          KeyError: the plan has no step with this id.
        """
        sandbox = self.sandbox.over(step.sandbox, step)
        on_failure = step.on_failure or self.on_failure
        return StepSettings(
            limits=ContainerLimits(memory_bytes=sandbox.memory, cpus=sandbox.cpus, pids=sandbox.pids),
            network=sandbox.network,
            runtime=sandbox.runtime,
            disk_bytes=sandbox.disk,
            timeout=sandbox.timeout,
            output_bytes=sandbox.output,
            hide=sandbox.hide,
            env={**self.env, **step.env},
            retry=(self.retry or RetrySettings()).over(step.retry),
            retry_failures=step.flaky or step.retry is not None or self.retry is not None,
            on_failure=on_failure,
            rollback_to=self._rollback_target(step) if on_failure is OnFailure.ROLLBACK else None,
            checks=self.checks_for(step),
            findings=(self.findings or FindingPolicy()).over(step.findings),
        )

    def checks_for(self, step: StepBase) -> tuple[str, ...]:
        """The checks after one of this plan's steps: what its settings have, for less."""
        return self.checks if step.checks is None else step.checks

    def _rollback_target(self, step: StepBase) -> str | None:
        """The step that a failure of `step` goes back to; None when the plan's comes only after it."""
        if step.rollback_to is not None:
            return step.rollback_to
        if self.rollback_to is None or self._index.get(self.rollback_to, MAX_STEPS) >= self._index[step.id]:
            return None
        return self.rollback_to


def with_id(step: object, number: int) -> object:
    """`step`, raw or built, with the id `step-<number>` when it has none."""
    if isinstance(step, StepBase):
        return step if step.id else step.model_copy(update={"id": f"step-{number}"})
    if isinstance(step, dict) and "id" not in step:
        return {**step, "id": f"step-{number}"}
    return step
