"""The `lint` check: ruff for Python, oxlint for JavaScript and TypeScript, with the project's own configuration of
them.

The configuration chooses the rules, so every finding fails the check, whatever its severity; without one, the tools'
default rules hold. Findings are errors when the code cannot work (syntax, `E9`, `F63`, `F7`, `F82`), else warnings,
and what oxlint calls errors. Nothing is fixed: what ruff would change is in `Finding.fix`. A configuration that a
tool refuses, or one under which it looks at none of the files that are there, is no pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from engine.validation import answer
from engine.validation.finding import MAX_EDIT_CHARS, Applicability, Edit, Finding, Fix, Severity
from engine.validation.program import NO_FILES, invocation, read_report
from engine.validation.validator import NOTHING_TO_CHECK, CheckResult, CheckStatus, ToolOutput, ToolOutputError

_BROKEN: Final = re.compile(r"invalid-syntax|E9|F63|F7|F82")

_END: Final = re.compile(rb'^\{"ruff": (\d{1,3}), "analysed": (\d{1,9})\}\n', re.MULTILINE)
"""The line that ends what ruff says. In ruff's own lines a quote within a text is escaped."""

_APPLICABILITIES: Final = {
    "safe": Applicability.SAFE,
    "unsafe": Applicability.UNSAFE,
    "display": Applicability.DISPLAY,
}

_NO_SCRIPTS: Final = json.dumps(NO_FILES | {"analysed": 0, "refused": ""})

_SCRIPT: Final = f"""\
if [ "$python_files" -gt 0 ]; then
  ruff=$(tool ruff) || exit 127
  count=$(clean "$ruff" check --no-cache --quiet --show-files "@$targets" 2>/dev/null | grep -c '\\.pyi\\{{0,1\\}}$')
  clean "$ruff" check --no-cache --no-fix --output-format=json "@$targets"
  status=$?
  [ "$status" -le 1 ] || exit "$status"
  printf '\\n{{"ruff": %d, "analysed": %d}}\\n' "$status" "$count"
fi
if python=$(where=$PATH:$tools tool python3 2>/dev/null); then
{invocation("lint_javascript", 'env TOOLS="$where"')}
else
  ! scripts_there || {{ echo "no python3 in $PATH:$tools" >&2; exit 127; }}
  printf '%s\\n' '{_NO_SCRIPTS}'
fi
"""
"""ruff runs no code of the project, so nothing else can have written the line that ends what it says. Without an
interpreter only the absence of scripts can be told."""


class LintCheck:
    """`ruff check` and `oxlint`; see `engine.validation.validator.Check`."""

    name: Final = "lint"
    python_only: Final = False
    runs_project_code: Final = False
    writes: Final = False
    variant: Final = ""
    programs: Final = ("lint_javascript", "looking", "oxlint")

    def time_limit_seconds(self) -> int:
        return 120

    def script(self) -> str:
        return _SCRIPT

    def parse(self, output: ToolOutput) -> CheckResult:
        if output.exit_code not in (0, 1):
            raise ToolOutputError("ruff refused its configuration or crashed")
        python, rest = _of_ruff(output) if output.python_files else (_NOTHING, output.stdout)
        scripts = read_report(replace(output, stdout=rest), self.name, "lint")
        analysed = answer.whole(scripts.end, "analysed")
        if refused := answer.text(scripts.end, "refused"):
            raise ToolOutputError(f"oxlint refused its configuration: {refused}")
        missing = [finding.message for finding in scripts.findings if finding.rule == "tool-missing"]
        if scripts.files and not analysed and not scripts.findings:
            raise ToolOutputError(f"the configuration of oxlint leaves out all of {scripts.files} scripts")
        findings = (*python.findings, *scripts.findings)
        files = python.files + analysed
        notes = [*missing, scripts.note if scripts.files else "" if files else NOTHING_TO_CHECK]
        return CheckResult(
            self.name,
            CheckStatus.ERROR if missing else CheckStatus.FAILED if findings or scripts.cut else CheckStatus.PASSED,
            findings,
            "; ".join(note for note in notes if note),
            files=files,
            fails_on=Severity.INFO,
            cut=scripts.cut,
        )


@dataclass(frozen=True, slots=True)
class _Python:
    """What ruff said, and of how many files."""

    findings: tuple[Finding, ...]
    files: int


_NOTHING: Final = _Python((), 0)


def _of_ruff(output: ToolOutput) -> tuple[_Python, bytes]:
    """What ruff said, and what comes after it."""
    end = _END.search(output.stdout)
    if end is None or _END.search(output.stdout, end.end()):
        raise ToolOutputError("ruff did not say which files it looks at")
    status, analysed = int(end[1]), int(end[2])
    if analysed == 0:
        raise ToolOutputError(
            f"the configuration of ruff or a .gitignore leaves out all of {output.python_files} Python files"
        )
    records = answer.sequence(answer.read_json(output.stdout[: end.start()]))
    if bool(records) != (status == 1):
        raise ToolOutputError("ruff's findings and its exit code do not agree")
    return _Python(tuple(_finding(answer.mapping(record), output) for record in records), analysed), output.stdout[
        end.end() :
    ]


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
