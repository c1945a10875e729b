"""The `performance` check: patterns that take far more time or memory than they need, by our own programs.

Files are only read; nothing of the project runs and nothing is measured. Fails on a finding of severity error, which
is only what takes quadratic time for certain and over data that the file does not bound (`array-grown-in-loop`). How
large the data will be, no program can tell from the text: the rest are warnings, and habits that cost little are info.
"""

from __future__ import annotations

from typing import Final

from engine.validation.archive import available
from engine.validation.program import invocation, read_report, result_of
from engine.validation.validator import CheckResult, ToolOutput

_SCRIPT: Final = f"where=$tools:$PATH python=$(tool python3) || exit 127\n{invocation('performance')}"


class PerformanceCheck:
    """Our programs over Python, JavaScript and TypeScript; see `engine.validation.validator.Check`."""

    name: Final = "performance"
    python_only: Final = False
    runs_project_code: Final = False
    writes: Final = False
    variant: Final = ""
    programs: Final = (
        "javascript_tree",
        "looking",
        "python_source",
        *(name for name in available() if name.startswith("performance")),
    )

    def time_limit_seconds(self) -> int:
        return 300

    def script(self) -> str:
        return _SCRIPT

    def parse(self, output: ToolOutput) -> CheckResult:
        report = read_report(output, self.name, "performance")
        return result_of(self.name, output, report)
