"""`ValidationService`: runs the checks that a step or plan asks for and gives one report.

All checks of a call share one sandbox where that is safe (`driver.batches`). The sandbox sees a read-only view of
the layer, so checks change nothing. A check that gives no answer fails the report as a finding does; a sandbox
that cannot be had is no answer about the code at all and is raised.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, Protocol, runtime_checkable

from engine.clock import Clock, SystemClock
from engine.errors import NotFoundError
from engine.plan.rules import AVAILABLE_CHECKS
from engine.plan.settings import FindingPolicy
from engine.validation.accessibility import AccessibilityCheck
from engine.validation.building import CompileCheck
from engine.validation.cache import Kept, NoCache, ResultCache, identity_request, read_identity
from engine.validation.driver import batch_request, batches, read_batch
from engine.validation.finding import Finding, Severity
from engine.validation.lint import LintCheck
from engine.validation.performance import PerformanceCheck
from engine.validation.policy import NOTHING_KNOWN, fingerprints, under_policy
from engine.validation.project_tests import ProjectTestsCheck
from engine.validation.quality import QualityCheck
from engine.validation.report import ValidationReport, report_of
from engine.validation.security import SecurityCheck
from engine.validation.selection import Selection, select
from engine.validation.syntax import SyntaxCheck
from engine.validation.type import TypeCheck
from engine.validation.validator import (
    NOTHING_TO_CHECK,
    Check,
    CheckResult,
    CheckStatus,
    ToolPlaces,
    judge,
    validator_failed,
)
from sandbox.errors import PathRefusedError, SandboxUnavailableError
from sandbox.spec import ExecRequest, ExecResult, Verdict
from sandbox.workspace.display import display


class Run(Protocol):
    """Runs one request in a fresh sandbox over a read-only view of the layer to check, at /workspace.

    variant: name of the image variant to run in; "" for the image that the code itself runs in. writable: what runs may
    change the view; nobody else ever sees that.
    """

    def __call__(self, request: ExecRequest, variant: str = "", *, writable: bool = False) -> Awaitable[ExecResult]: ...


@runtime_checkable
class PlacedRun(Run, Protocol):
    """A run that can tell the image that it runs in. Of other runs no result is kept."""

    async def image_of(self, variant: str) -> str:
        """The image's id; raises what the run would raise when it cannot be had."""
        ...


KNOWN_CHECKS: Final = AVAILABLE_CHECKS
"""Names of all checks, in the order of reports; the list itself is with the plan's rules."""

CHECKS: Final[Mapping[str, Check]] = {
    check.name: check
    for check in (
        SyntaxCheck(),
        LintCheck(),
        TypeCheck(),
        SecurityCheck(),
        QualityCheck(),
        PerformanceCheck(),
        AccessibilityCheck(),
        CompileCheck(),
        ProjectTestsCheck(),
    )
}
"""One row a check."""


NO_COMMIT: Final = "there is no commit to compare with: everything was looked at"

COUNT_ALL: Final = FindingPolicy()
"""Every finding counts as its check decides."""


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once, in the order of `KNOWN_CHECKS`.

    Raises:
      NotFoundError: there is no check of such a name; `near` lists those that exist.
    """
    for name in names:
        if name not in CHECKS:
            raise NotFoundError("check", name, KNOWN_CHECKS)
    return tuple(name for name in KNOWN_CHECKS if name in names)


class ValidationService:
    """Runs checks, and those only whose answer is not in the cache."""

    def __init__(
        self,
        clock: Clock | None = None,
        places: ToolPlaces | None = None,
        checks: Mapping[str, Check] = CHECKS,
        cache: ResultCache | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._places = places or ToolPlaces()
        self._checks = checks
        self._cache = cache or NoCache()

    async def check(
        self,
        checks: Sequence[str],
        run: Run,
        changed: Sequence[bytes] | None,
        paths: Sequence[str] | None,
        timeout: timedelta,  # noqa: ASYNC109 - the sandbox and the tools' own limits keep it
        policy: FindingPolicy = COUNT_ALL,
        before: Run | None = None,
        *,
        since_commit: bool = False,
    ) -> ValidationReport:
        """Run `checks` over what `paths` names, else over `changed`, else over the whole workspace.

        since_commit: of the whole workspace only what differs from the commit that it is at; all of it, with a note,
        where there is none.

        timeout: for all of it; each tool has its own limit below that. A sandbox that hits a limit (time,
        memory, output) makes its checks end with status `error`. policy: which findings count. before: as `run`, over
        what the workspace was before; with `policy.new_only`, what the same checks find there does not count.

        Raises:
          NotFoundError: a check is unknown.
          PathRefusedError: a path leaves the workspace, or one of `paths` does not exist.
          SandboxUnavailableError: no sandbox could be had, or it was lost (retryable).
          And whatever else `run` raises.
        """
        started = self._clock.monotonic()
        asked = [self._checks[name] for name in self._named(checks)]
        selection = select(changed, paths, since_commit=since_commit)
        report = report_of(await self._results(asked, run, selection, timeout), timedelta(0))
        known = NOTHING_KNOWN
        if policy.new_only and before is not None and report.findings:
            concerned = {finding.check for finding in report.findings}
            again = [check for check in asked if check.name in concerned]
            there = replace(selection, must_exist=False, since_commit=False)
            known = fingerprints(report_of(await self._results(again, before, there, timeout), timedelta(0)))
        counted = under_policy(report, policy, known)
        return replace(counted, duration=timedelta(seconds=self._clock.monotonic() - started))

    async def _results(
        self, asked: Sequence[Check], run: Run, selection: Selection, limit: timedelta
    ) -> list[CheckResult]:
        """What each of the checks says of the selection."""
        results: dict[str, CheckResult] = {}
        if selection.names == ():  # no tool has anything to look at
            results = {it.name: CheckResult(it.name, CheckStatus.PASSED, note=NOTHING_TO_CHECK) for it in asked}
        else:
            variants = {check.variant for check in asked if not check.writes}
            kept = {variant: await self._kept(run, variant, selection, limit) for variant in variants}
            for check in asked:
                store = kept.get(check.variant)
                if store is not None and (found := await store.of(check)) is not None:
                    results[check.name] = found
            shares = batches([check for check in asked if check.name not in results])
            for batch in shares:
                results |= await self._run_batch(batch, run, selection, limit / len(shares), kept.get(batch[0].variant))
        return [_refuse_names(results[check.name], selection) for check in asked]

    async def _kept(self, run: Run, variant: str, selection: Selection, limit: timedelta) -> Kept | None:
        """What is kept of the view that `run` looks at; None when it is not known what that view is."""
        if isinstance(self._cache, NoCache) or not isinstance(run, PlacedRun):
            return None
        image = await run.image_of(variant)
        result = await run(identity_request(self._places, limit), variant)
        if result.verdict is Verdict.SANDBOX_UNAVAILABLE:
            raise SandboxUnavailableError(result.detail or "it was lost while the workspace was read")
        identity = read_identity(result)
        return None if identity is None else Kept(self._cache, (image, identity), selection, self._places)

    def _named(self, names: Sequence[str]) -> tuple[str, ...]:
        if self._checks is CHECKS:
            return check_names(names)
        return tuple(dict.fromkeys(names))

    async def _run_batch(
        self, batch: Sequence[Check], run: Run, selection: Selection, limit: timedelta, kept: Kept | None
    ) -> dict[str, CheckResult]:
        nonce = secrets.token_hex(16)
        request = batch_request(batch, selection, self._places, nonce, limit)
        result = await run(request, batch[0].variant, writable=batch[0].writes)
        if result.verdict is Verdict.SANDBOX_UNAVAILABLE:
            raise SandboxUnavailableError(result.detail or "it was lost while checks ran")
        results = await asyncio.to_thread(self._judge_batch, batch, selection, nonce, result)
        if kept is not None:
            for check in batch:
                await kept.keep(check, results[check.name])
        return results

    def _judge_batch(
        self, batch: Sequence[Check], selection: Selection, nonce: str, result: ExecResult
    ) -> dict[str, CheckResult]:
        """Pure, but megabytes of hostile text take a while: not for the event loop."""
        read = read_batch(batch, self._places, nonce, result)
        if read.missing and selection.must_exist:
            raise PathRefusedError(display(read.missing[0]), "does not exist in the workspace")
        results = {
            check.name: judge(check, output)
            if (output := read.outputs.get(check.name))
            else validator_failed(check.name, read.problem)
            for check in batch
        }
        if read.unspeakable or read.no_commit:
            chosen = replace(selection, unspeakable=read.unspeakable)
            results = {name: _about_choice(result, chosen, read.no_commit) for name, result in results.items()}
        return results


def _about_choice(result: CheckResult, selection: Selection, no_commit: bool) -> CheckResult:
    """What is to be said of a choice of files that was made inside the sandbox."""
    if no_commit:
        result = replace(result, note=f"{result.note}; {NO_COMMIT}" if result.note else NO_COMMIT)
    return _refuse_names(result, selection)


def _refuse_names(result: CheckResult, selection: Selection) -> CheckResult:
    """A changed file whose name cannot be handed to a tool was not looked at: the check gave no answer for it."""
    if not selection.unspeakable:
        return result
    findings = tuple(
        Finding(
            rule="validator-failed",
            severity=Severity.ERROR,
            message="not checked: its name cannot be handed to a tool",
            check=result.check,
            category="tool",
            file=name.decode("utf-8", "surrogateescape"),
        )
        for name in selection.unspeakable
    )
    note = f"{len(findings)} files have names that cannot be handed to a tool"
    return replace(result, status=CheckStatus.ERROR, findings=(*result.findings, *findings), note=note)
