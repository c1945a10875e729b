"""Findings for people: grouped by file, each with its line of code and a mark below the place; then what every check
said. Text of findings, files and tools is escaped; styles come from the output module.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

from engine.cli.escape import lines, one_line
from engine.cli.output import Output
from engine.validation.finding import Finding, Severity
from engine.validation.report import ValidationReport
from engine.validation.validator import CheckResult, CheckStatus

Source = Callable[[str], Sequence[str] | None]
"""The lines of a file, None when they cannot be had."""

STYLE: Final = {Severity.ERROR: "bad", Severity.WARNING: "warn", Severity.INFO: "dim"}
STATUS_STYLE: Final = {CheckStatus.PASSED: "good", CheckStatus.FAILED: "bad", CheckStatus.ERROR: "bad"}
MAX_CODE_CHARS: Final = 160
"""Of a line of code; a longer one is shown around the place."""


def findings_text(report: ValidationReport, source: Source, output: Output) -> Iterator[str]:
    """The lines to print."""
    for file, found in groupby(report.findings, key=lambda finding: finding.file):
        if file:
            yield output.styled(one_line(file), "bold")
        code = source(file) if file else None
        for finding in found:
            yield from _finding(finding, code, output)
        yield ""
    for result in report.results:
        yield _result(result, output)
    yield _sum(report, output)


def _finding(finding: Finding, code: Sequence[str] | None, output: Output) -> Iterator[str]:
    place = ":".join(str(number) for number in (finding.line, finding.column) if number) or "-"
    severity = output.styled(finding.severity.value, STYLE[finding.severity])
    title, *more = lines(finding.message) or [""]
    reference = f" {one_line(finding.reference)}" if finding.reference else ""
    yield f"  {place:<8} {severity}  {title}  {output.styled(one_line(finding.rule) + reference, 'dim')}"
    yield from (f"           {line}" for line in more)
    if code is not None and 0 < finding.line <= len(code):
        yield from (f"           {line}" for line in _marked(code[finding.line - 1], finding, output))
    if finding.fix is not None:
        yield f"           {output.styled('fix:', 'accent')} {one_line(finding.fix.message) or 'there is one'}"


def _marked(text: str, finding: Finding, output: Output) -> Iterator[str]:
    """The line of code and, where the column is known, a mark below what is meant."""
    start = max(finding.column - 1, 0)
    if finding.end_line == finding.line and finding.end_column > finding.column:
        end = finding.end_column - 1
    else:
        end = start + 1
    first = max(0, start - MAX_CODE_CHARS // 2) if len(text) > MAX_CODE_CHARS else 0
    shown = text[first : first + MAX_CODE_CHARS]
    indent = len(shown) - len(shown.lstrip()) if not first else 0
    before, meant = _shown(shown[indent : start - first]), _shown(shown[start - first : end - first])
    yield output.styled("| ", "dim") + _shown(shown[indent:].rstrip())
    if finding.column and start - first >= indent:
        yield output.styled("| ", "dim") + " " * len(before) + output.styled("^" * max(len(meant), 1), "accent")


def _shown(text: str) -> str:
    return one_line(text.replace("\t", "    "))


def _result(result: CheckResult, output: Output) -> str:
    status = output.styled(f"{result.status.value:<6}", STATUS_STYLE[result.status])
    files = "" if result.files is None else f"{result.files} file{'s' * (result.files != 1)}"
    note = one_line(result.note)
    told = "; ".join(part for part in (files, note) if part)
    return f"{result.check:<14} {status}  {told}".rstrip()


def _sum(report: ValidationReport, output: Output) -> str:
    counts = Counter(finding.severity for finding in report.findings)
    told = [f"{counts[it]} {it.value}{'s' * (counts[it] != 1 and it is not Severity.INFO)}" for it in Severity]
    verdict = output.styled("passed", "good") if report.ok else output.styled("failed", "bad")
    fixes = sum(finding.fix is not None for finding in report.findings)
    return f"{verdict}: {', '.join(told)}{f'; {fixes} with a fix' if fixes else ''}"
