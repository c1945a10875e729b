"""A report as JUnit XML: a suite for each check, a case for each file with findings, one for a check without any.

A finding that fails its check makes its case fail; others are in the case's output. A check that gave no answer is
an error. Characters that XML 1.0 has no place for are replaced.
"""

from __future__ import annotations

import re
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from engine.validation.finding import RANK, Finding
from engine.validation.report import ValidationReport
from engine.validation.validator import CheckResult, CheckStatus

_ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(report: ValidationReport) -> str:
    """The whole document."""
    suites = [_Suite(result) for result in report.results]
    head = " ".join(
        [
            'name="sandstone validate"',
            f'tests="{sum(suite.tests for suite in suites)}"',
            f'failures="{sum(suite.failures for suite in suites)}"',
            f'errors="{sum(suite.errors for suite in suites)}"',
            f'time="{report.duration.total_seconds():.3f}"',
        ]
    )
    lines = [line for suite in suites for line in suite.lines()]
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {head}>", *lines, "</testsuites>"])


class _Suite:
    """One check. failed: findings that fail it, by file; told: the others."""

    def __init__(self, result: CheckResult) -> None:
        self._result = result
        self._files: dict[str, list[Finding]] = {}
        for finding in result.findings:
            self._files.setdefault(finding.file, []).append(finding)
        self.errors = int(result.status is CheckStatus.ERROR)
        self._answered = not self.errors
        self.tests = max(1, len(self._files))
        self.failures = sum(any(map(self._fails, found)) for found in self._files.values()) if self._answered else 0
        if self.errors:
            self.tests = self.errors = max(1, len(self._files))
        elif result.status is CheckStatus.FAILED and not self.failures:
            self.failures = 1  # what fails it was left out
            self.tests += bool(self._files)

    def _fails(self, finding: Finding) -> bool:
        return RANK[finding.severity] >= RANK[self._result.fails_on]

    def lines(self) -> list[str]:
        result = self._result
        counts = f'tests="{self.tests}" failures="{self.failures}" errors="{self.errors}" skipped="0"'
        cases = [line for file, found in self._files.items() for line in self._case(file, found)]
        unseen = result.status is CheckStatus.FAILED and not any(map(self._fails, result.findings))
        if not self._files or unseen:
            kind = "" if result.status is CheckStatus.PASSED else "failure" if self._answered else "error"
            told = f"<{kind} message={_attribute(result.note)}/>" if kind else ""
            said = f"<system-out>{_text(result.note)}</system-out>" if result.note and not kind else ""
            name = _attribute(result.check)
            cases.append(f"<testcase name={name} classname={name}>{told}{said}</testcase>")
        return [f"<testsuite name={_attribute(result.check)} {counts}>", *cases, "</testsuite>"]

    def _case(self, file: str, found: list[Finding]) -> list[str]:
        name = _attribute(file or self._result.check)
        where = f" file={name}" if file else ""
        grave = [finding for finding in found if not self._answered or self._fails(finding)]
        others = [finding for finding in found if finding not in grave]
        lines = [f"<testcase name={name} classname={_attribute(self._result.check)}{where}>"]
        if grave:
            kind = "failure" if self._answered else "error"
            head = f"{grave[0].rule}: {grave[0].message.partition(chr(10))[0]}"
            body = _text("\n".join(map(_line, grave)))
            lines.append(f"<{kind} type={_attribute(grave[0].rule)} message={_attribute(head)}>{body}</{kind}>")
        if others:
            lines.append(f"<system-out>{_text(chr(10).join(map(_line, others)))}</system-out>")
        return [*lines, "</testcase>"]


def _line(finding: Finding) -> str:
    return f"{finding.place or finding.check}: {finding.severity.value} {finding.rule}: {finding.message}"


def _text(text: str) -> str:
    return escape(_legal(text))


def _attribute(text: str) -> str:
    return quoteattr(_legal(text))


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
