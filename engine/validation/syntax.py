"""The `syntax` check: Python files compile, JSON and TOML files parse, with the image's own Python.

Compiling is parsing and the checks after it (`return` outside a function, ...); nothing of the project is run
or imported. The work is done by `syntax_program.py`, whose text is handed to an isolated interpreter.
Fails on every finding of severity error; invalid escapes and the like are warnings and do not fail it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from engine.validation import answer
from engine.validation.finding import Finding, Severity
from engine.validation.selection import SKIPPED_DIRECTORIES
from engine.validation.validator import NOTHING_TO_CHECK, CheckResult, CheckStatus, ToolOutput, ToolOutputError

PROGRAM: Final = files("engine.validation").joinpath("syntax_program.py").read_text(encoding="utf-8")
"""The text that the sandbox's interpreter runs; read at import, so that no file is read on an event loop."""

_SEVERITIES: Final = {"error": Severity.ERROR, "warning": Severity.WARNING}


class SyntaxCheck:
    """`python3 -I -c` over every file; see `engine.validation.validator.Check`."""

    name: Final = "syntax"
    python_only: Final = False
    runs_project_code: Final = False

    def time_limit_seconds(self) -> int:
        return 120

    def script(self) -> str:
        skipped = shlex.quote(":".join(SKIPPED_DIRECTORIES))
        return (
            f'where=$PATH:$tools python=$(tool python3) || exit 127\n[ $named = 0 ] || set -- "$listed"\n'
            f'clean "$python" -I -c {shlex.quote(PROGRAM)} {skipped} "$@"\n'
        )

    def parse(self, output: ToolOutput) -> CheckResult:
        records = answer.read_json_lines(output.stdout)
        if output.exit_code != 0:
            raise ToolOutputError("it crashed")
        if not records or records[-1].get("done") is not True:
            raise ToolOutputError("it stopped half-way")
        end = records[-1]
        looked_at = answer.whole(end, "files")
        findings = tuple(_finding(record) for record in records[:-1])
        if output.python_files > 0 and looked_at == 0 and not findings:
            raise ToolOutputError(f"it looked at none of {output.python_files} Python files")
        left_out = answer.whole(end, "left_out")
        failed = left_out > 0 or any(finding.severity is Severity.ERROR for finding in findings)
        return CheckResult(
            self.name,
            CheckStatus.FAILED if failed else CheckStatus.PASSED,
            findings,
            _note(end, looked_at, left_out),
            looked_at,
        )


def _finding(record: Mapping[str, Any]) -> Finding:
    severity = _SEVERITIES.get(answer.text(record, "severity"))
    if severity is None:
        raise ToolOutputError("its output has an unknown severity")
    return Finding(
        rule=answer.text(record, "rule"),
        severity=severity,
        message=answer.text(record, "message"),
        check=SyntaxCheck.name,
        category="syntax",
        file=answer.path(record, "file"),
        line=answer.position(record, "line"),
        column=answer.position(record, "column"),
        end_line=answer.position(record, "end_line"),
        end_column=answer.position(record, "end_column"),
    )


def _note(end: Mapping[str, Any], looked_at: int, left_out: int) -> str:
    notes = [str(note)[:200] for note in answer.sequence(end.get("notes"))]
    if looked_at == 0:
        notes.append(NOTHING_TO_CHECK)
    if left_out:
        notes.append(f"{left_out} more findings are left out")
    return "; ".join(notes)
