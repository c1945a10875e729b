"""The `type` check: mypy for Python, tsc for TypeScript, by the project's own configuration, not strict without one.

mypy loads plugins that the configuration names: it executes code of the project, in the sandbox only, after the
checks that do not. Fails exactly when mypy finds an error; its notes are of severity info. Packages that the image's
own Python has installed are found; those it lacks are errors, as they are for mypy.

Named files are checked as they are named. Otherwise mypy is asked for what its configuration lists, and for
everything when that lists nothing. Two files that would be the same module (two `conftest.py`, say) stop mypy; it is
then asked once more to take paths from the top of the workspace, and from `src`, as package names.

tsc runs no code of the project and comes first; `programs/type_typescript.py` says how it finds its projects.

mypy says nothing when all is well, and so does whatever makes it end early. So it is asked for its count of lines by
module as well, which it writes when it has finished: without that there is no pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from engine.validation import answer
from engine.validation.finding import Finding, Severity, bounded
from engine.validation.program import NO_FILES, ProgramReport, invocation, read_report
from engine.validation.validator import NOTHING_TO_CHECK, CheckResult, CheckStatus, ToolOutput, ToolOutputError

_TSC_FAILED: Final = 70
_END: Final = re.compile(rb'^\{"done": true, [^\n]*\}\n', re.MULTILINE)

_SEVERITIES: Final = {"error": Severity.ERROR, "warning": Severity.WARNING, "note": Severity.INFO}

_NO_SCRIPTS: Final = json.dumps(NO_FILES | {"analysed": 0})
_TYPESCRIPT: Final = f"""\
if python=$(where=$PATH:$tools tool python3 2>/dev/null); then
{invocation("type_typescript", 'env TOOLS="$where"')}  [ $? = 0 ] || exit 70
else
  ! scripts_there || {{ echo "no python3 in $PATH:$tools" >&2; exit 127; }}
  printf '%s\\n' '{_NO_SCRIPTS}'
fi
"""
_MYPY: Final = """\
[ "$python_files" -gt 0 ] || exit 0
mypy=$(tool mypy) || exit 127
where=$PATH:$tools python=$(tool python3) || exit 127
ask() {
  clean MYPYPATH="$path" "$mypy" --output=json --cache-dir=/dev/null --no-install-types --interactive \\
    --python-executable="$python" --linecount-report="$work/lines" --junit-xml="$work/junit.xml" "$@" \\
    >"$work/mypy.out" 2>"$work/mypy.err"
  status=$?
}
path=
if [ "$named" = 1 ]; then
  set -- "@$targets"
  ask "$@"
else
  ask
  if [ "$status" = 2 ] && grep -q 'Missing target module' "$work/mypy.err"; then
    set -- .
    ask .
  fi
fi
if [ "$status" = 2 ] && grep -q -e 'Duplicate module named' -e 'found twice under different' "$work/mypy.out"; then
  path=.:src
  ask --namespace-packages --explicit-package-bases "$@"
fi
cat "$work/mypy.out"
[ ! -f "$work/lines/linecount.txt" ] || printf '{"analysed": %d}\\n' "$(($(wc -l <"$work/lines/linecount.txt") - 1))"
cat "$work/mypy.err" >&2
exit "$status"
"""


class TypeCheck:
    """`mypy`; see `engine.validation.validator.Check`."""

    name: Final = "type"
    python_only: Final = False
    runs_project_code: Final = True
    writes: Final = False
    variant: Final = ""
    programs: Final = ("looking", "type_typescript")

    def time_limit_seconds(self) -> int:
        return 900

    def script(self) -> str:
        return _TYPESCRIPT + _MYPY

    def parse(self, output: ToolOutput) -> CheckResult:
        scripts, rest = _of_tsc(output)
        python = _of_mypy(replace(output, stdout=rest)) if output.python_files else _NOTHING
        analysed = answer.whole(scripts.end, "analysed")
        if scripts.files and not analysed and not scripts.findings:
            raise ToolOutputError(f"tsc, or the project's configuration, leaves out all of {scripts.files} files")
        missing = [finding.message for finding in scripts.findings if finding.rule == "tool-missing"]
        findings = (*python.findings, *scripts.findings)
        failed = scripts.failed or any(finding.severity is Severity.ERROR for finding in python.findings)
        files = python.files + analysed
        notes = [*missing, python.note, scripts.note if scripts.files else "" if files else NOTHING_TO_CHECK]
        return CheckResult(
            self.name,
            CheckStatus.ERROR if missing else CheckStatus.FAILED if failed else CheckStatus.PASSED,
            findings,
            "; ".join(note for note in notes if note),
            files,
            cut=scripts.cut,
        )


@dataclass(frozen=True, slots=True)
class _Python:
    """What mypy said, and of how many files."""

    findings: tuple[Finding, ...]
    files: int
    note: str


_NOTHING: Final = _Python((), 0, "")


def _of_tsc(output: ToolOutput) -> tuple[ProgramReport, bytes]:
    """What was said of TypeScript, and what comes after it."""
    if output.exit_code == _TSC_FAILED:
        raise ToolOutputError("the check of TypeScript crashed")
    end = _END.search(output.stdout)
    if end is None:
        raise ToolOutputError("the check of TypeScript ended before it had finished")
    said = replace(output, stdout=output.stdout[: end.end()], exit_code=0)
    return read_report(said, TypeCheck.name, "type"), output.stdout[end.end() :]


def _of_mypy(output: ToolOutput) -> _Python:
    if output.exit_code not in (0, 1, 2):
        raise ToolOutputError("mypy crashed")
    records = answer.read_json_lines(output.stdout)
    analysed = answer.whole(records.pop(), "analysed") if records and "analysed" in records[-1] else None
    findings = tuple(_finding(record, output) for record in records)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if output.exit_code == 2 and (not errors or any(not it.line or it.rule != "syntax" for it in errors)):
        raise ToolOutputError(": ".join(["mypy could not start its work", *(it.message for it in errors[:1])]))
    if bool(errors) != (output.exit_code != 0):
        raise ToolOutputError("mypy's findings and its exit code do not agree")
    if output.exit_code != 2 and analysed is None:
        raise ToolOutputError("mypy ended before it had finished")
    note = bounded(output.stderr.decode("utf-8", "replace").strip().replace("\n", "; "), 500)
    return _Python(findings, analysed or 0, note)


def _finding(record: Mapping[str, Any], output: ToolOutput) -> Finding:
    severity = _SEVERITIES.get(answer.text(record, "severity"))
    if severity is None:
        raise ToolOutputError("mypy reported an unknown severity")
    hint = answer.optional_text(record, "hint")
    message = answer.text(record, "message")
    line = answer.whole(record, "line")
    return Finding(
        rule=answer.optional_text(record, "code") or "mypy",
        severity=severity,
        message=bounded(f"{message}\n{hint}") if hint else message,
        check=TypeCheck.name,
        category="type",
        file=output.relative(answer.path(record, "file")),
        line=max(0, line),
        column=_from_one(record, "column"),
        end_line=answer.position(record, "end_line"),
        end_column=_from_one(record, "end_column"),
    )


def _from_one(record: Mapping[str, Any], key: str) -> int:
    """mypy counts columns from 0 in JSON, and says -1 for those it does not know."""
    if record.get(key) is None:
        return 0
    return max(-1, answer.whole(record, key)) + 1 if answer.whole(record, "line") > 0 else 0
