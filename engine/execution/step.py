"""Runs one attempt of one step: a fresh active layer, the step's action in it, then commit or discard.

    prepare layer -> action (fresh sandbox) -> commit | remove -> checks asked for (over a view of the layer)

A committed layer means nothing until the caller makes it a checkpoint; the layer of a failed attempt is
committed too, so that it can be looked at, but the caller never makes it a head. A layer that turns out empty
is removed: the attempt's layer is then its parent's. An attempt that filled its volume keeps no layer: it would
leave no room for the next. Nothing here writes to the journal.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from engine.clock import Clock
from engine.execution.actions import ACTION_OF, LOOKS_ONLY
from engine.execution.attempt import (
    ActionResult,
    AttemptContext,
    AttemptOutcome,
    ExecutionContext,
    StepRefused,
    StepServices,
    told,
)
from engine.execution.control import Rest, StoppedError
from engine.execution.metering import AttemptMeter
from engine.plan.model import Step, StepSettings
from sandbox.errors import (
    ImageBuildError,
    ImageNotFoundError,
    ImageRefusedError,
    PathRefusedError,
    SandboxUnavailableError,
    SpecRefusedError,
    TreeRefusedError,
)
from sandbox.sandbox import OutputSink
from sandbox.spec import ExecRequest, ExecResult, SandboxSpec, Verdict
from sandbox.workspace.layer import Layer, LayerKey, LayerName, VolumeId
from sandbox.workspace.manifest import EntryKind

FULL = (errno.ENOSPC, errno.EDQUOT)


def sandbox_spec(image_id: str, settings: StepSettings) -> SandboxSpec:
    """The kind of container that a step with these settings needs."""
    return SandboxSpec(
        image_id=image_id,
        limits=settings.limits,
        network=settings.network,
        runtime=settings.runtime,
    )


class StepExecutor:
    """Executes attempts; keeps nothing between them."""

    def __init__(self, services: StepServices, clock: Clock) -> None:
        self._services = services
        self._clock = clock

    async def execute(
        self,
        execution: ExecutionContext,
        step: Step,
        parent: LayerName | None,
        volume: VolumeId,
        meter: AttemptMeter,
        on_output: OutputSink,
    ) -> AttemptOutcome:
        """One attempt of `step` from `parent`. Limits, failures and refusals are in the outcome.

        Raises:
          LayerError, MountError, HostDiskFullError: the store failed; nothing of the attempt is left.
        """
        started = self._clock.monotonic()
        attempt = _Attempt(self._services, execution, step, parent, volume, meter, on_output)
        outcome = await attempt.run()
        return replace(outcome, duration=timedelta(seconds=self._clock.monotonic() - started))


class _Attempt:
    """The state of one attempt while it runs."""

    def __init__(
        self,
        services: StepServices,
        execution: ExecutionContext,
        step: Step,
        parent: LayerName | None,
        volume: VolumeId,
        meter: AttemptMeter,
        on_output: OutputSink,
    ) -> None:
        self._services = services
        self._store = services.store
        self._execution = execution
        self._step = step
        self._settings = execution.plan.settings_for(step)
        self._spec = sandbox_spec(execution.image_id, self._settings)
        self._parent = parent
        self._volume = volume
        self._meter = meter
        self._control = meter.control
        self._on_output = on_output
        self._key = LayerKey(f"a-{secrets.token_hex(12)}")

    async def run(self) -> AttemptOutcome:
        """Prepare, act, settle, check."""
        writes = self._step.type not in LOOKS_ONLY
        if writes:
            await self._services.blocking(self._prepare)
        try:
            outcome = await self._act()
            if writes:
                outcome = await self._settle(outcome)
        except BaseException:
            if writes:
                await self._services.blocking(self._discard)
            raise
        if outcome.ok and outcome.changed and self._settings.checks:
            return await self._checked(outcome)
        return outcome

    async def _checked(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """What the checks make of it; when they do not come to an end, its layer goes too."""
        assert outcome.layer is not None
        try:
            checked = await self._guarded(lambda: self._post_check(outcome))
        except BaseException:
            await self._services.blocking(self._store.remove, outcome.layer)
            raise
        if checked.cancelled or not checked.changed:
            await self._services.blocking(self._store.remove, outcome.layer)
            return replace(checked, layer=self._parent, changed=False, disk_bytes=0)
        return checked

    def _prepare(self) -> None:
        hide = self._execution.hide.mask(self._settings.hide)
        self._store.prepare(self._key, self._parent, self._volume, hide)
        before = self._store.volume_usage(self._volume)[0].bytes
        self._meter.disk = lambda: max(0, self._store.volume_usage(self._volume)[0].bytes - before)

    async def _act(self) -> AttemptOutcome:
        """Do the step."""
        context = AttemptContext(
            execution=self._execution,
            step=self._step,
            settings=self._settings,
            spec=self._spec,
            key=self._key,
            parent=self._parent,
            volume=self._volume,
            store=self._store,
            validation=self._services.validation,
            blocking=self._services.blocking,
            run=lambda request, sink=None: self._run(self._key, request, sink),
            look=_View(self, self._parent),
            look_back=_View(self, None),
            on_output=self._on_output,
        )

        async def act() -> AttemptOutcome:
            return outcome_of(await ACTION_OF[self._step.type](context), self._parent)

        return await self._guarded(act)

    async def _guarded(self, act: Callable[[], Awaitable[AttemptOutcome]]) -> AttemptOutcome:
        """Translate every ending of `act` into an outcome."""
        try:
            outcome = await act()
        except StoppedError:
            return AttemptOutcome(False, self._parent, False, detail="cancelled", cancelled=True)
        except (StepRefused, PathRefusedError, SpecRefusedError, TreeRefusedError) as refusal:
            return AttemptOutcome(False, self._parent, False, detail=str(refusal), refused=True)
        except (ImageNotFoundError, ImageRefusedError, ImageBuildError) as refusal:
            return self._unavailable(str(refusal), retryable=False)
        except SandboxUnavailableError as error:
            return self._unavailable(str(error), retryable=True)
        except OSError as error:
            if error.errno not in FULL:
                raise
            return self._full(AttemptOutcome(False, self._parent, False))
        if self._control.stopping and not outcome.ok:
            return replace(outcome, cancelled=True, detail="cancelled")
        return outcome

    def _unavailable(self, detail: str, *, retryable: bool) -> AttemptOutcome:
        return AttemptOutcome(
            ok=False,
            layer=self._parent,
            changed=False,
            verdict=Verdict.SANDBOX_UNAVAILABLE,
            detail=detail,
            unavailable=retryable,
            refused=not retryable,
        )

    async def _run(
        self, layer: LayerKey, request: ExecRequest, sink: OutputSink | None = None, spec: SandboxSpec | None = None
    ) -> ExecResult:
        """One request in a fresh sandbox over `layer`; spec: another kind than the step's."""
        control = self._control
        await control.come_by()
        with control.resting(Rest.NOW):
            claim = self._services.provider.claim(spec or self._spec, layer)
            sandbox = await control.unless_stopped(claim, lambda late: late.close())
        try:
            control.admit(sandbox)
            await control.come_by()
            if control.stopping:
                raise StoppedError
            with control.resting(Rest.NOW):
                result = await sandbox.run(request, sink)
        finally:
            control.dismiss(sandbox)
            await sandbox.close()
        # Frozen as it ended, or just after: nothing of it is written down before it goes on.
        await control.come_by()
        if control.stopping:
            raise StoppedError
        return result

    async def look(
        self, layer: LayerName | None, request: ExecRequest, variant: str, *, writable: bool = False
    ) -> ExecResult:
        """One request in a fresh sandbox, of an image variant if one is named, over a view of `layer`. What a writable
        view got is thrown away."""
        spec = replace(self._spec, image_id=await self.image_of(variant))
        key = LayerKey(f"v-{secrets.token_hex(12)}")
        make = self._store.prepare if writable else self._store.view
        await self._services.blocking(make, key, layer, self._volume)
        try:
            return await self._run(key, request, spec=spec)
        finally:
            await self._services.blocking(self._store.remove, key)

    async def image_of(self, variant: str) -> str:
        """The id of a variant's image, whose building ends with the attempt; "": of the step's own."""
        if not variant:
            return self._spec.image_id
        variants = self._services.variants
        if variants is None:
            raise ImageNotFoundError(f"sandstone/{variant}")
        return await self._control.unless_stopped(variants.image_of(variant))

    async def _settle(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """Commit or discard the layer; a step that did not keep its layer leaves its parent's."""
        unwanted = outcome.cancelled or outcome.refused or outcome.unavailable
        if not outcome.changed or unwanted or outcome.verdict is Verdict.DISK_LIMIT:
            await self._services.blocking(self._discard)
            return replace(outcome, layer=self._parent, changed=False)
        try:
            committed = await self._services.blocking(self._commit)
        except TreeRefusedError as refusal:
            await self._services.blocking(self._discard)
            return replace(outcome, ok=False, layer=self._parent, changed=False, refused=True, detail=str(refusal))
        except OSError as error:
            if error.errno not in FULL:
                raise
            await self._services.blocking(self._discard)
            return self._full(outcome)
        if committed is None:
            return replace(outcome, layer=self._parent, changed=False)
        return replace(outcome, layer=LayerName(committed.id), changed=True, disk_bytes=committed.usage.bytes)

    def _full(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """What `outcome` is when the volume had no room for what the step left; an earlier verdict stands."""
        detail = "what it changed does not fit into the workspace's disk limit"
        return replace(
            outcome,
            ok=False,
            layer=self._parent,
            changed=False,
            verdict=outcome.verdict or Verdict.DISK_LIMIT,
            detail=outcome.detail if outcome.verdict else detail,
        )

    def _commit(self) -> Layer | None:
        """Blocking. The committed layer, None when it was empty (and is removed)."""
        name = LayerName(f"l-{secrets.token_hex(12)}")
        layer = self._store.commit(self._key, name)
        if layer.empty:
            self._store.remove(name)
            return None
        return layer

    def _discard(self) -> None:
        """Blocking. Throw the active layer away."""
        self._store.unmount(self._key)
        self._store.remove(self._key)

    def _changed_files(self, layer: LayerName | None) -> list[bytes]:
        """Blocking. Paths of the files that the attempt wrote."""
        if layer is None:
            return []
        return [entry.path for entry in self._store.manifest(layer) if entry.kind is EntryKind.FILE]

    async def _post_check(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """The checks that the step or plan asks for, of the files it changed, over a read-only view of what it left."""
        changed = await self._services.blocking(self._changed_files, outcome.layer)
        report = await self._services.validation.check(
            checks=self._settings.checks,
            run=_View(self, outcome.layer),
            changed=changed,
            paths=None,
            timeout=self._settings.timeout,
            policy=self._settings.findings,
            before=_View(self, self._parent),
        )
        return replace(
            outcome,
            ok=report.ok,
            detail=outcome.detail if report.ok else report.summary,
            **told(report),
        )


@dataclass(frozen=True, slots=True)
class _View:
    """A `Looker` at `layer`, which can tell what image it looks from."""

    attempt: _Attempt
    layer: LayerName | None

    async def __call__(self, request: ExecRequest, variant: str = "", *, writable: bool = False) -> ExecResult:
        return await self.attempt.look(self.layer, request, variant, writable=writable)

    async def image_of(self, variant: str) -> str:
        return await self.attempt.image_of(variant)


def outcome_of(result: ActionResult, parent: LayerName | None) -> AttemptOutcome:
    """What an action's result means for its attempt. Pure."""
    ended = result.exec
    detail = _detail(result.problems, ended)
    if ended is None:
        return AttemptOutcome(
            ok=result.ok,
            layer=parent,
            changed=result.keep_layer,
            detail=detail,
            findings=result.findings,
            validation=result.validation,
            tests=result.tests,
        )
    return AttemptOutcome(
        ok=result.ok,
        layer=parent,
        changed=result.keep_layer,
        exit_code=ended.exit_code,
        verdict=ended.verdict,
        detail=detail,
        stdout=ended.stdout,
        stderr=ended.stderr,
        run_time=ended.run_time,
        usage=ended.usage,
        findings=result.findings,
        validation=result.validation,
        tests=result.tests,
        unavailable=ended.verdict is Verdict.SANDBOX_UNAVAILABLE,
    )


def _detail(problems: Sequence[str], ended: ExecResult | None) -> str:
    if ended is not None and ended.verdict is not None:
        return ended.detail or ended.verdict.value
    if problems:
        return "; ".join(problems)
    if ended is not None and ended.exit_code:
        return f"exit code {ended.exit_code}"
    return ""
