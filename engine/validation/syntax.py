"""The `syntax` check: Python files compile, JSON and TOML files parse, with the image's own Python.

Compiling is parsing and the checks after it (`return` outside a function, ...); nothing of the project is run
or imported. The work is done by `programs/syntax.py`, whose text is handed to an isolated interpreter.
Fails on every finding of severity error; invalid escapes and the like are warnings and do not fail it.
"""

from __future__ import annotations

from typing import Final

from engine.validation.program import invocation, read_report
from engine.validation.validator import CheckResult, CheckStatus, ToolOutput, ToolOutputError

_SCRIPT: Final = f"where=$PATH:$tools python=$(tool python3) || exit 127\n{invocation('syntax')}"


class SyntaxCheck:
    """`python3` over every file; see `engine.validation.validator.Check`."""

    name: Final = "syntax"
    python_only: Final = False
    runs_project_code: Final = False
    programs: Final = ("looking", "syntax")

    def time_limit_seconds(self) -> int:
        return 120

    def script(self) -> str:
        return _SCRIPT

    def parse(self, output: ToolOutput) -> CheckResult:
        report = read_report(output, self.name, "syntax")
        if output.python_files > 0 and report.files == 0 and not report.findings:
            raise ToolOutputError(f"it looked at none of {output.python_files} Python files")
        status = CheckStatus.FAILED if report.failed else CheckStatus.PASSED
        return CheckResult(self.name, status, report.findings, report.note, report.files, cut=report.left_out > 0)
