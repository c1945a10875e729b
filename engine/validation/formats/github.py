"""A report as workflow commands of GitHub Actions, which shows them at the lines of a pull request.

GitHub shows ten of each level for a step and drops the rest without a word, so the last line counts all of them. A
finding's text is data: escaped as GitHub's own toolkit does (`%`, CR, LF; in properties also `:` and `,`), so that none
begins a command of its own.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from engine.validation.finding import Finding, Severity
from engine.validation.report import ValidationReport
from engine.validation.validator import CheckStatus

COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_LINE_ENDS: Final = {ord(character): " " for character in "\v\f\x1c\x1d\x1e\x85\u2028\u2029"}
"""What some readers take for the end of a line, and GitHub's escaping does not know."""


def github(report: ValidationReport) -> str:
    """A line for each finding, for each check that gave no answer, and one that counts them."""
    lines = [_command(finding) for finding in report.findings]
    for result in report.results:
        if result.status is CheckStatus.ERROR and not result.findings:
            lines.append(f"::error title={_property(result.check)}::{_data(result.note or 'no answer')}")
    counts = Counter(finding.severity for finding in report.findings)
    told = ", ".join(f"{counts[severity]} {severity.value}" for severity in Severity)
    verdict = "passed" if report.ok else "failed"
    return "\n".join([*lines, f"sandstone validate {verdict}: {told} (GitHub shows ten of each)"])


def _command(finding: Finding) -> str:
    places = {
        "file": finding.file,
        "line": finding.line,
        "col": finding.column,
        "endLine": finding.end_line if finding.end_line >= finding.line else 0,
        "endColumn": finding.end_column if finding.end_line == finding.line else 0,
        "title": f"{finding.check}: {finding.rule}",
    }
    properties = ",".join(f"{key}={_property(str(value))}" for key, value in places.items() if value)
    return f"::{COMMANDS[finding.severity]} {properties}::{_data(finding.message)}"


def _data(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode("utf-8").translate(_LINE_ENDS)
    return clean.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
