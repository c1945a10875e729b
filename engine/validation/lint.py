"""The `lint` check: ruff, with the project's own configuration where there is one.

The configuration chooses the rules, so every finding fails the check, whatever its severity; without one, ruff's
default rules hold. Findings are errors when the code cannot work (syntax, `E9`, `F63`, `F7`, `F82`), else
warnings. Nothing is fixed: what ruff would change is in `Finding.fix`. A configuration that ruff refuses,
or one under which it looks at none of the files that are there, is no pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from engine.validation import answer
from engine.validation.finding import MAX_EDIT_CHARS, Applicability, Edit, Finding, Fix, Severity
from engine.validation.validator import CheckResult, CheckStatus, ToolOutput, ToolOutputError

_BROKEN: Final = re.compile(r"invalid-syntax|E9|F63|F7|F82")

_ANALYSED: Final = re.compile(rb"analysed=(\d{1,9})\n")
"""First line of stderr: how many files ruff says it would look at. ruff runs no code of the project, and this
is printed before it reports, so nothing else can have written it."""

_APPLICABILITIES: Final = {
    "safe": Applicability.SAFE,
    "unsafe": Applicability.UNSAFE,
    "display": Applicability.DISPLAY,
}

_SCRIPT: Final = """\
ruff=$(tool ruff) || exit 127
[ "$python_files" -gt 0 ] || exit 0
count=$(clean "$ruff" check --no-cache --quiet --show-files "@$targets" 2>/dev/null | grep -c '\\.pyi\\{0,1\\}$')
printf 'analysed=%d\\n' "$count" >&2
clean "$ruff" check --no-cache --no-fix --output-format=json "@$targets"
"""


class LintCheck:
    """`ruff check`; see `engine.validation.validator.Check`."""

    name: Final = "lint"
    python_only: Final = True
    runs_project_code: Final = False
    programs: Final = ()

    def time_limit_seconds(self) -> int:
        return 120

    def script(self) -> str:
        return _SCRIPT

    def parse(self, output: ToolOutput) -> CheckResult:
        if output.exit_code not in (0, 1):
            raise ToolOutputError("ruff refused its configuration or crashed")
        analysed = _ANALYSED.match(output.stderr)
        if analysed is None:
            raise ToolOutputError("ruff did not say which files it looks at")
        if int(analysed[1]) == 0:
            raise ToolOutputError(
                f"the configuration of ruff or a .gitignore leaves out all of {output.python_files} Python files"
            )
        records = answer.sequence(answer.read_json(output.stdout))
        if bool(records) != (output.exit_code == 1):
            raise ToolOutputError("ruff's findings and its exit code do not agree")
        findings = tuple(_finding(answer.mapping(record), output) for record in records)
        return CheckResult(
            self.name,
            CheckStatus.FAILED if findings else CheckStatus.PASSED,
            findings,
            files=int(analysed[1]),
            fails_on=Severity.INFO,
        )


def _finding(record: Mapping[str, Any], output: ToolOutput) -> Finding:
    rule = answer.optional_text(record, "code") or "invalid-syntax"
    start = answer.mapping(record.get("location"))
    end = answer.mapping(record.get("end_location"))
    return Finding(
        rule=rule,
        severity=Severity.ERROR if _BROKEN.match(rule) else Severity.WARNING,
        message=answer.text(record, "message"),
        check=LintCheck.name,
        category="syntax" if rule == "invalid-syntax" else "lint",
        file=output.relative(answer.path(record, "filename")),
        line=answer.position(start, "row"),
        column=answer.position(start, "column"),
        end_line=answer.position(end, "row"),
        end_column=answer.position(end, "column"),
        help_url=answer.optional_text(record, "url"),
        fix=_fix(record.get("fix")),
    )


def _fix(value: object) -> Fix | None:
    """The fix, None when there is none or one of its edits is too long to keep."""
    if value is None:
        return None
    record = answer.mapping(value)
    applicability = _APPLICABILITIES.get(answer.text(record, "applicability"))
    if applicability is None:
        raise ToolOutputError("a fix of ruff has an unknown applicability")
    edits = [answer.mapping(edit) for edit in answer.sequence(record.get("edits"))]
    contents = [answer.text(edit, "content", limit=MAX_EDIT_CHARS + 1) for edit in edits]
    if any(len(content) > MAX_EDIT_CHARS for content in contents):
        return None
    return Fix(
        tuple(_edit(edit, content) for edit, content in zip(edits, contents, strict=True)),
        applicability,
        answer.optional_text(record, "message"),
    )


def _edit(record: Mapping[str, Any], content: str) -> Edit:
    start = answer.mapping(record.get("location"))
    end = answer.mapping(record.get("end_location"))
    return Edit(
        answer.position(start, "row"),
        answer.position(start, "column"),
        answer.position(end, "row"),
        answer.position(end, "column"),
        content,
    )
