"""Policy of a plan: the sandbox its steps run in, when a failed attempt is tried again, what a failure does.

Each comes twice: complete with defaults for the plan, and as overrides for a step, where an absent key means
"as the plan says". Overriding is key by key. `StepSettings` is the result for one step, and all that the
execution of a step needs to know of its policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.plan import rules, values
from engine.plan.leaves import (
    DurationBetween,
    Flag,
    NumberBetween,
    Pattern,
    RulePattern,
    SizeBetween,
    Text,
    WholeBetween,
    distinct,
    one_of,
    read_by,
    refusal,
    ruled,
)
from sandbox.spec import GIB, MIB, ContainerLimits


class PlanModel(BaseModel):
    """Base of everything in a plan: immutable, and a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OnFailure(StrEnum):
    """What a failed step does to the execution. The failed attempt's own changes never reach head.

    ROLLBACK: it ends, and head goes back to its start or to `rollback_to`. STOP: it ends with head at the last
    good checkpoint. CONTINUE: it goes on with the steps that do not need the failed one, and ends failed.
    """

    ROLLBACK = "rollback"
    STOP = "stop"
    CONTINUE = "continue"


Network = Annotated[
    Literal["none"],
    read_by(lambda value: rules.check_network(values.read_text(value))),
    Field(description='Network of the step. Only "none" exists: no network at all.'),
]
Memory = Annotated[
    int,
    SizeBetween(16 * MIB, 1024 * GIB),
    Field(description="Memory and swap together. At its end the step is killed: verdict out_of_memory."),
]
Cpus = Annotated[float, NumberBetween(0.05, 1024), Field(description="CPU time, in cores' worth. Slows, never kills.")]
Pids = Annotated[int, WholeBetween(4, 32_768), Field(description="Processes and threads at once.")]
Disk = Annotated[
    int,
    SizeBetween(16 * MIB, 1024 * GIB),
    Field(description="Bytes that steps may write into the workspace. At its end: verdict disk_limit."),
]
Timeout = Annotated[
    timedelta,
    DurationBetween(timedelta(milliseconds=100), timedelta(days=7)),
    Field(description="Wall-clock time of one attempt, paused time not counted. At its end: verdict timeout."),
]
Output = Annotated[
    int,
    SizeBetween(1024, GIB),
    Field(description="Bytes of stdout and stderr together. One byte more: verdict output_limit."),
]
Runtime = Annotated[
    Text,
    ruled(rules.check_runtime),
    Field(description="Runtime of the container engine, such as runc or runsc."),
]
Hide = Annotated[
    tuple[Pattern, ...],
    Field(max_length=1000, description="Patterns of paths in the workspace that no step sees."),
    ruled(distinct),
]


class SandboxOverrides(PlanModel):
    """Keys of `sandbox` that a step sets for itself."""

    network: Network | None = None
    memory: Memory | None = None
    cpus: Cpus | None = None
    pids: Pids | None = None
    disk: Disk | None = None
    timeout: Timeout | None = None
    output: Output | None = None
    runtime: Runtime | None = None
    hide: Hide | None = None


SANDBOX_KEYS = tuple(SandboxOverrides.model_fields)
"""Keys that a step may write directly or under `sandbox`."""


class SandboxSettings(PlanModel):
    """The sandbox that each step gets."""

    network: Network = "none"
    memory: Memory = 1 * GIB
    cpus: Cpus = 1.0
    pids: Pids = 256
    disk: Disk = 2 * GIB
    timeout: Timeout = timedelta(seconds=120)
    output: Output = 10 * MIB
    runtime: Runtime = "runc"
    hide: Hide = ()

    def over(self, *overrides: SandboxOverrides | None) -> SandboxSettings:
        """These settings with what each of `overrides` sets."""
        changed = {
            key: value
            for override in overrides
            if override is not None
            for key in SANDBOX_KEYS
            if (value := getattr(override, key)) is not None
        }
        return self.model_copy(update=changed) if changed else self


Attempts = Annotated[int, WholeBetween(1, 20), Field(description="Attempts in all, the first one counted.")]
InitialWait = Annotated[
    timedelta, DurationBetween(timedelta(0), timedelta(hours=1)), Field(description="Wait before the second attempt.")
]
Factor = Annotated[float, NumberBetween(1, 10), Field(description="By how much each wait is longer than the last.")]
MaxWait = Annotated[
    timedelta, DurationBetween(timedelta(0), timedelta(hours=1)), Field(description="The longest wait, jitter aside.")
]
Jitter = Annotated[
    timedelta,
    DurationBetween(timedelta(0), timedelta(hours=1)),
    Field(description="Up to this much is added to each wait at random."),
]


class FailOn(StrEnum):
    """The lowest severity of a finding that fails a check."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Ignored(PlanModel):
    """Findings that do not count: of these rules, in these files. What is not given is any."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["rules"]}, {"required": ["paths"]}]})

    rules: Annotated[tuple[RulePattern, ...], ruled(distinct)] | None = Field(
        default=None, max_length=1000, description="Rules such as `F401`; `*` stands for any letters, as in `S1*`."
    )
    paths: Annotated[tuple[Pattern, ...], ruled(distinct)] | None = Field(
        default=None, max_length=1000, description="Patterns of files, in the language of .gitignore."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.rules and not self.paths:
            raise refusal("an entry of ignore needs rules or paths")
        return self


class FindingPolicy(PlanModel):
    """Which findings of checks count. An absent key of a step is as in the plan."""

    fail_on: Annotated[FailOn, one_of(FailOn)] | None = Field(
        default=None,
        description="The lowest severity that fails a check; absent: errors, and for lint every finding.",
    )
    new_only: Flag | None = Field(
        default=None, description="Count only what was not there before the step (a validation: in the project itself)."
    )
    ignore: Annotated[tuple[Ignored, ...], Field(max_length=1000, description="Findings that do not count.")] | None = (
        None
    )

    def over(self, override: FindingPolicy | None) -> FindingPolicy:
        """This policy with what `override` sets."""
        if override is None:
            return self
        return self.model_copy(update={key: value for key, value in override if value is not None})


class RetryOverrides(PlanModel):
    """Keys of `retry` that a step sets for itself."""

    attempts: Attempts | None = None
    initial: InitialWait | None = None
    factor: Factor | None = None
    max: MaxWait | None = None
    jitter: Jitter | None = None


class RetrySettings(PlanModel):
    """Attempts and the waits between them: initial, initial * factor, ... up to max, each plus jitter."""

    attempts: Attempts = 3
    initial: InitialWait = timedelta(milliseconds=500)
    factor: Factor = 2.0
    max: MaxWait = timedelta(seconds=8)
    jitter: Jitter = timedelta(milliseconds=250)

    def over(self, override: RetryOverrides | None) -> RetrySettings:
        """These settings with what `override` sets."""
        if override is None:
            return self
        return self.model_copy(update={key: value for key, value in override if value is not None})


@dataclass(frozen=True, slots=True)
class StepSettings:
    """Everything a plan says about how one step runs, its own words and the plan's put together.

    limits: of the container. disk_bytes: of the execution's layers. output_bytes: stdout and stderr together.
    timeout: of one attempt. hide: patterns of paths not to be seen. env: to add to the image's, secrets not in it.
    retry: always complete. retry_failures: also try again what simply failed (`retry` or `flaky` was given);
    without it only a sandbox that could not be had is tried again. rollback_to: id of the earlier step whose
    checkpoint a failure goes back to; None: the execution's start, or on_failure is not `rollback`.
    checks: of a validation step, what it runs; of any other, what must hold of what it changed. findings: which of
    theirs count.
    """

    limits: ContainerLimits
    network: str
    runtime: str
    disk_bytes: int
    timeout: timedelta
    output_bytes: int
    hide: tuple[str, ...]
    env: Mapping[str, str]
    retry: RetrySettings
    retry_failures: bool
    on_failure: OnFailure
    rollback_to: str | None
    checks: tuple[str, ...]
    findings: FindingPolicy
