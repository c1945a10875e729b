"""What a validation says as a whole: results of checks, all findings in one order, one verdict. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from engine.validation.finding import Finding, Severity, in_order, with_fingerprints
from engine.validation.validator import CheckResult, CheckStatus


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """results: one for each check asked for, in the order of `KNOWN_CHECKS`. findings: of all checks, by place.

    duration: wall-clock time of it all, sandboxes included.
    """

    results: tuple[CheckResult, ...]
    findings: tuple[Finding, ...]
    duration: timedelta

    @property
    def ok(self) -> bool:
        """Every check passed."""
        return all(result.status is CheckStatus.PASSED for result in self.results)

    @property
    def summary(self) -> str:
        """One sentence: which checks did not pass and why, or what was checked."""
        bad = [_told(result) for result in self.results if result.status is not CheckStatus.PASSED]
        if bad:
            return "; ".join(bad)
        return f"passed: {', '.join(result.check for result in self.results)}" if self.results else "no checks"

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "ok": self.ok,
            "summary": self.summary,
            "duration_ms": round(self.duration.total_seconds() * 1000),
            "checks": [result.to_json() for result in self.results],
            "findings": [finding.to_json() for finding in self.findings],
        }


def report_of(results: Sequence[CheckResult], duration: timedelta) -> ValidationReport:
    """The report of these results; every finding gets its fingerprint."""
    ordered = with_fingerprints(in_order(finding for result in results for finding in result.findings))
    own = tuple(
        replace(result, findings=tuple(finding for finding in ordered if finding.check == result.check))
        for result in results
    )
    return ValidationReport(own, ordered, duration)


def report_from_step(findings: Sequence[Mapping[str, Any]], said: Mapping[str, Any]) -> ValidationReport:
    """The report that a step's row (`findings`) and its event `validation-completed` (`said`) tell of.

    Raises:
      ValueError, KeyError, TypeError: they were not written by `ValidationReport.to_json`.
    """
    found = tuple(Finding.from_json(finding) for finding in findings)
    results = tuple(
        CheckResult(
            check=result["check"],
            status=CheckStatus(result["status"]),
            findings=tuple(finding for finding in found if finding.check == result["check"]),
            note=result["note"],
            files=result["files"],
            fails_on=Severity(result["fails_on"]),
            cut=result["cut"],
        )
        for result in said["checks"]
    )
    return ValidationReport(results, found, timedelta(milliseconds=said["duration_ms"]))


def _told(result: CheckResult) -> str:
    if result.status is CheckStatus.ERROR:
        return result.note or f"the {result.check} check gave no answer"
    count = len(result.findings)
    if not count:
        return f"{result.check} failed: {result.note}"
    first = result.findings[0]
    where = f"{first.place}: " if first.place else ""
    title = first.message.partition("\n")[0]
    return f"{result.check} failed with {count} finding{'s' * (count != 1)} ({where}{first.rule} {title})"
