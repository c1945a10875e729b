"""What one attempt of a step is given and what it gives back. Records and interfaces, no effects.

An *action* does what a step says, in the active layer of its attempt. Actions are found by step type in
`engine.execution.actions.ACTION_OF`; a new step type is one action and one row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from engine.plan.model import FindingPolicy, Plan, Step, StepSettings
from sandbox.sandbox import OutputSink, SandboxProvider
from sandbox.spec import CapturedOutput, ExecRequest, ExecResult, ResourceUsage, SandboxSpec, Verdict
from sandbox.workspace.layer import LayerKey, LayerName, VolumeId
from sandbox.workspace.manifest import Manifest
from sandbox.workspace.store import LayerStore

if TYPE_CHECKING:
    from engine.validation.report import ValidationReport

R = TypeVar("R")


class StepRefused(Exception):
    """The step cannot be done as it is written (path, policy, text not found, patch that does not apply).

    Trying again cannot help. The message says what, where, and what would be right.
    """


class Blocking(Protocol):
    """Runs a blocking function in a worker thread."""

    def __call__(self, function: Callable[..., R], /, *args: Any) -> Awaitable[R]: ...


class Looker(Protocol):
    """Runs one request in a fresh sandbox over a view. variant: of an image variant, not the plan's image. writable: it
    may change the view, which is thrown away."""

    def __call__(self, request: ExecRequest, variant: str = "", *, writable: bool = False) -> Awaitable[ExecResult]: ...


class Variants(Protocol):
    """Image variants, with heavy tools for single checks."""

    async def image_of(self, variant: str) -> str:
        """The id of its image, which is built on first use, in minutes.

        Raises:
          ImageNotFoundError, ImageBuildError, SandboxUnavailableError.
        """
        ...


class Checker(Protocol):
    """Runs checks; see `engine.validation.service`."""

    async def check(
        self,
        checks: Sequence[str],
        run: Looker,
        changed: Sequence[bytes] | None,
        paths: Sequence[str] | None,
        timeout: timedelta,  # noqa: ASYNC109 - the sandbox and the tools' own limits keep it
        policy: FindingPolicy,
        before: Looker | None,
        *,
        since_commit: bool = False,
    ) -> ValidationReport: ...


class HideRules(Protocol):
    """Finds the mask (a manifest of whiteouts) that a step's `hide` patterns ask for."""

    def mask(self, patterns: tuple[str, ...]) -> Manifest | None:
        """The mask over the execution's base; None when nothing matches. Blocking."""
        ...


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """What all attempts of one execution share.

    secrets: the values of the plan's secrets. owner: uid and gid of the workspace, which new files get.
    """

    execution_id: str
    plan: Plan
    workspace: Path
    volume: VolumeId
    image_id: str
    hide: HideRules
    owner: tuple[int, int]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What an action did.

    exec: how its command ended, None when it ran none. problems: one sentence each; not empty means failed.
    keep_layer: False for steps that only look (their changes are thrown away). findings, tests: JSON values.
    validation: of its checks, as `told` gives it.
    """

    exec: ExecResult | None = None
    problems: tuple[str, ...] = ()
    keep_layer: bool = True
    findings: tuple[dict[str, Any], ...] = ()
    validation: dict[str, Any] | None = None
    tests: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        return not self.problems and (self.exec is None or self.exec.ok)


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """How an attempt ended. layer: what it left (its parent's layer when it changed nothing);
    changed: `layer` is new. disk_bytes: what `layer` holds if it is new. refused: trying again cannot help.
    unavailable: the sandbox failed, not the step. cancelled: it was stopped and left no trace."""

    ok: bool
    layer: LayerName | None
    changed: bool
    exit_code: int | None = None
    verdict: Verdict | None = None
    detail: str = ""
    stdout: CapturedOutput = field(default_factory=CapturedOutput)
    stderr: CapturedOutput = field(default_factory=CapturedOutput)
    run_time: timedelta = timedelta(0)
    duration: timedelta = timedelta(0)
    usage: ResourceUsage = field(default_factory=ResourceUsage)
    disk_bytes: int = 0
    findings: tuple[dict[str, Any], ...] = ()
    validation: dict[str, Any] | None = None
    tests: dict[str, Any] | None = None
    refused: bool = False
    unavailable: bool = False
    cancelled: bool = False


def told(report: ValidationReport) -> dict[str, Any]:
    """The fields `findings` and `validation` of what a step's checks said: JSON values. Pure."""
    whole = report.to_json()
    validation = {name: whole[name] for name in ("ok", "duration_ms", "checks")}
    return {"findings": tuple(whole["findings"]), "validation": validation}


class SandboxRunner(Protocol):
    """Runs one request in a fresh sandbox, under the attempt's control (pause, cancel)."""

    async def __call__(self, request: ExecRequest, on_output: OutputSink | None = None) -> ExecResult: ...


@dataclass(frozen=True, slots=True)
class AttemptContext:
    """What an action may use.

    key: the attempt's own active layer, unmounted. parent: what it stands on. run: runs a request over `key`,
    which it may change. look: runs a request over a read-only view of `parent`; look_back: over one of the base.
    """

    execution: ExecutionContext
    step: Step
    settings: StepSettings
    spec: SandboxSpec
    key: LayerKey
    parent: LayerName | None
    volume: VolumeId
    store: LayerStore
    validation: Checker
    blocking: Blocking
    run: SandboxRunner
    look: Looker
    look_back: Looker
    on_output: OutputSink


class Action(Protocol):
    """Does what a step says. Raises StepRefused, or errors of `sandbox.errors`."""

    async def __call__(self, context: AttemptContext) -> ActionResult: ...


@dataclass(frozen=True, slots=True)
class StepServices:
    """What the step executor works with; made by the composition root."""

    store: LayerStore
    provider: SandboxProvider
    validation: Checker
    blocking: Blocking
    variants: Variants | None = None
