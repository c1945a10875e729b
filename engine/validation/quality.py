"""The `quality` check: how hard code is to read and to change, by our own programs; nothing of the project runs.

Functions and files are held to limits (`programs/quality_limits.py`), and code that stands twice is told. More than a
soft limit is a warning; only what is far beyond (docs/decisions/0020-quality-limits.md) is an error and fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.validation import answer
from engine.validation.archive import available
from engine.validation.program import invocation, read_report, result_of
from engine.validation.validator import CheckResult, ToolOutput

_SCRIPT: Final = f"where=$tools:$PATH python=$(tool python3) || exit 127\n{invocation('quality')}"


class QualityCheck:
    """Our program over every file of a language that it knows; see `engine.validation.validator.Check`."""

    name: Final = "quality"
    python_only: Final = False
    runs_project_code: Final = False
    writes: Final = False
    variant: Final = ""
    programs: Final = (
        "looking",
        "javascript_tree",
        "python_source",
        *(name for name in available() if name.startswith("quality")),
    )

    def time_limit_seconds(self) -> int:
        return 300

    def script(self) -> str:
        return _SCRIPT

    def parse(self, output: ToolOutput) -> CheckResult:
        report = read_report(output, self.name, "quality")
        return result_of(self.name, output, report, _measured(report.end))


def _measured(end: Mapping[str, Any]) -> str:
    """One short sentence on what was measured; "" when nothing was.

    Raises:
      ToolOutputError: a number is missing or is none.
    """
    totals = answer.mapping(end.get("totals"))
    numbers = {key: answer.whole(totals, key) for key in totals}
    functions = numbers.get("functions", 0)
    said = []
    if functions > 0:
        cyclomatic = numbers.get("cyclomatic", 0) / functions
        cognitive = numbers.get("cognitive", 0) / max(1, numbers.get("whole_functions", 0))
        plural = "s" * (functions != 1)
        said.append(
            f"{functions} function{plural}, on average cyclomatic {cyclomatic:.1f} and cognitive {cognitive:.1f}"
        )
    if numbers.get("python_files", 0) > 0:
        said.append(f"maintainability {numbers.get('maintainability', 0) / numbers['python_files']:.0f}")
    if numbers.get("lines", 0) > 0:
        said.append(f"{100 * numbers.get('duplicated_lines', 0) / numbers['lines']:.1f} % of lines duplicated")
    if numbers.get("public_names", 0) > 0:
        said.append(f"{100 * numbers.get('documented', 0) / numbers['public_names']:.0f} % of public names documented")
    return ", ".join(said)
