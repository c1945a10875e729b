"""Which findings count: a plan's policy over a report, and what was there before. Pure.

A finding that was there before is known by its fingerprint, which the lines around it do not change. What a policy
leaves out is not in the report any more; the check's note says how many that were. A check without an answer fails
whatever the policy says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from fnmatch import fnmatchcase

from engine.plan.settings import FindingPolicy, Ignored
from engine.validation.finding import GRAVE, RANK, Finding, Severity
from engine.validation.report import ValidationReport
from engine.validation.validator import CheckResult, CheckStatus

NOTHING_KNOWN: frozenset[str] = frozenset()


def fingerprints(report: ValidationReport) -> frozenset[str]:
    """Of what was there before: all findings of the checks that gave an answer.

    What was an error is also known as the warning that is left of it once it got better.
    """
    answered = {result.check for result in report.results if result.status is not CheckStatus.ERROR}
    known = {finding.fingerprint for finding in report.findings if finding.check in answered}
    return frozenset(known | {fingerprint.removesuffix(GRAVE) for fingerprint in known})


def under_policy(
    report: ValidationReport, policy: FindingPolicy, known: Collection[str] = NOTHING_KNOWN
) -> ValidationReport:
    """The report with what counts. known: fingerprints of findings that do not, because they were there before."""
    ignored = _ignoring(policy.ignore or ())
    results = tuple(_result(result, policy, known, ignored) for result in report.results)
    left = {finding.fingerprint for result in results for finding in result.findings}
    findings = tuple(finding for finding in report.findings if finding.fingerprint in left)
    return ValidationReport(results, findings, report.duration)


def _result(
    result: CheckResult, policy: FindingPolicy, known: Collection[str], ignored: Callable[[Finding], bool]
) -> CheckResult:
    if result.status is CheckStatus.ERROR:
        return result
    wanted = [finding for finding in result.findings if not ignored(finding)]
    counted = tuple(finding for finding in wanted if finding.fingerprint not in known)
    lowest = result.fails_on if policy.fail_on is None else Severity(policy.fail_on)
    # What was cut off has been seen by nobody: it cannot be known, nor ignored, nor said to be less than `lowest`.
    unseen = result.cut and (result.status is CheckStatus.FAILED or RANK[lowest] < RANK[result.fails_on])
    failed = unseen or any(RANK[finding.severity] >= RANK[lowest] for finding in counted)
    notes = [result.note] if result.note else []
    for count, what in (
        (len(result.findings) - len(wanted), "ignored by the policy"),
        (len(wanted) - len(counted), "there before"),
    ):
        if count:
            notes.append(f"{count} finding{'s' * (count != 1)} {what}")
    return replace(
        result,
        status=CheckStatus.FAILED if failed else CheckStatus.PASSED,
        fails_on=lowest,
        findings=counted,
        note="; ".join(notes),
    )


def _ignoring(entries: Collection[Ignored]) -> Callable[[Finding], bool]:
    """Whether one of the entries names a finding."""
    if not entries:
        return lambda _: False
    from engine.checkpoints.gitignore import spec_of

    readers = [(entry.rules or (), spec_of(entry.paths) if entry.paths else None) for entry in entries]

    def ignored(finding: Finding) -> bool:
        return any(
            (not rules or any(fnmatchcase(finding.rule, rule) for rule in rules))
            and (paths is None or bool(finding.file and paths.match_file(finding.file)))
            for rules, paths in readers
        )

    return ignored
