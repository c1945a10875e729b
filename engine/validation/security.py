"""The `security` check: faults that someone from outside can use, by our own programs; nothing of the project runs.

Python is followed by a taint analysis across functions and files (`programs/taint.py`); what other files are looked
at is the table of `programs/security.py`. Fails on every finding of severity error: a value from a request reaches
what it must not, or a protection is plainly off. What is only doubtful is a warning.
"""

from __future__ import annotations

from typing import Final

from engine.validation.archive import available
from engine.validation.program import invocation, read_report, result_of
from engine.validation.validator import CheckResult, ToolOutput

_SCRIPT: Final = f"where=$tools:$PATH python=$(tool python3) || exit 127\n{invocation('security')}"

_PYTHON: Final = (
    "looking",
    "security",
    "security_python",
    "python_patterns",
    "python_frameworks",
    "python_source",
    "taint",
    "taint_calls",
    "taint_checks",
    "taint_expressions",
    "taint_frame",
    "taint_functions",
    "taint_guards",
    "taint_harms",
    "taint_modules",
    "taint_rules",
    "taint_sinks",
    "taint_statements",
    "taint_values",
    "taint_views",
)

_OTHERS: Final = ("javascript_", "secret_patterns", "secrets", "security_", "template_markup")
"""How the names of the modules for other kinds of files begin."""


class SecurityCheck:
    """Our programs over every file; see `engine.validation.validator.Check`."""

    name: Final = "security"
    python_only: Final = False
    runs_project_code: Final = False
    writes: Final = False
    variant: Final = ""
    programs: Final = (*_PYTHON, *(name for name in available() if name.startswith(_OTHERS) and name not in _PYTHON))

    def time_limit_seconds(self) -> int:
        return 300

    def script(self) -> str:
        return _SCRIPT

    def parse(self, output: ToolOutput) -> CheckResult:
        report = read_report(output, self.name, "security")
        return result_of(self.name, output, report)
