"""The `accessibility` check: axe-core in a headless Chromium over the HTML files, in a sandbox of image variant
`web`.

Pages are rendered and their scripts run, so it comes after the checks that run nothing, in a sandbox of its own.
Fails on what axe-core calls critical or serious; the rest are warnings, and what it cannot decide is info.
`programs/accessibility.py` does the work.
"""

from __future__ import annotations

from typing import Final

from engine.validation import answer
from engine.validation.program import invocation, read_report
from engine.validation.validator import CheckResult, CheckStatus, ToolOutput

_SCRIPT: Final = f"where=$tools:$PATH python=$(tool python3) || exit 127\n{invocation('accessibility')}"


class AccessibilityCheck:
    """axe-core over rendered pages; see `engine.validation.validator.Check`."""

    name: Final = "accessibility"
    python_only: Final = False
    runs_project_code: Final = True
    writes: Final = False
    variant: Final = "web"
    programs: Final = ("accessibility", "browser", "looking")

    def time_limit_seconds(self) -> int:
        return 900

    def script(self) -> str:
        return _SCRIPT

    def parse(self, output: ToolOutput) -> CheckResult:
        report = read_report(output, self.name, "accessibility")
        missing = [finding.message for finding in report.findings if finding.rule in ("tool-missing", "page-failed")]
        status = CheckStatus.ERROR if missing else CheckStatus.FAILED if report.failed else CheckStatus.PASSED
        note = "; ".join([*missing[:3], *([report.note] if report.note else [])])
        opened = answer.whole(report.end, "opened")
        return CheckResult(self.name, status, report.findings, note, opened, cut=report.cut)
