"""How the output of our own programs (`engine.validation.programs`) becomes findings. Pure.

Every program prints what `programs.looking` says: findings as JSON lines, and a last line that says it is done.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.validation import answer
from engine.validation.finding import Finding, Severity
from engine.validation.selection import SKIPPED_DIRECTORIES
from engine.validation.validator import NOTHING_TO_CHECK, CheckResult, CheckStatus, ToolOutput, ToolOutputError

NO_FILES: Final = {"done": True, "files": 0, "left_out": 0, "others_left_out": 0, "notes": []}
"""The last line of a program that found nothing to look at."""

MAX_TAIL_CHARS: Final = 1500
"""Of what a command of the project said last, as findings show it."""

_SEVERITIES: Final = {severity.value: severity for severity in Severity}


@dataclass(frozen=True, slots=True)
class ProgramReport:
    """What a program said, or several one after the other.

    files: how many they looked at. left_out: errors they did not print; others_left_out: other findings. ends: the last
    line of each.
    """

    findings: tuple[Finding, ...]
    files: int
    left_out: int
    others_left_out: int
    ends: tuple[Mapping[str, Any], ...]

    @property
    def end(self) -> Mapping[str, Any]:
        """The last line of all."""
        return self.ends[-1]

    @property
    def failed(self) -> bool:
        """There is a finding of severity error, seen or not."""
        return self.left_out > 0 or any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def cut(self) -> bool:
        """There are findings that nobody has seen."""
        return self.left_out + self.others_left_out > 0

    @property
    def note(self) -> str:
        """The programs' notes, and what else people should know."""
        notes = [str(note)[:200] for end in self.ends for note in answer.sequence(end.get("notes"))]
        if self.files == 0:
            notes.append(NOTHING_TO_CHECK)
        if self.cut:
            notes.append(f"{self.left_out + self.others_left_out} more findings are left out")
        return "; ".join(notes)


def invocation(program: str, before: str = "") -> str:
    """Shell text that runs `program` by `$python` over what was named, else over the whole workspace.

    before: words in front of the interpreter (`env NAME=VALUE`). It sets the shell's positional parameters.
    """
    skipped = shlex.quote(":".join(SKIPPED_DIRECTORIES))
    command = f'{before} "$python"'.strip()
    return f'set --\n[ $named = 0 ] || set -- "$listed"\nclean {command} -I "$programs" {program} {skipped} "$@"\n'


def read_report(output: ToolOutput, check: str, category: str) -> ProgramReport:
    """What the programs that `output` came from reported; `category` is for findings that name none.

    Raises:
      ToolOutputError: it did not finish, or this is not its output.
    """
    records = read_records(output)
    ends = tuple(record for record in records if record.get("done") is True)
    findings = tuple(_finding(record, check, category) for record in records if record.get("done") is not True)
    files, left_out, others = (
        sum(answer.whole(end, key) for end in ends) for key in ("files", "left_out", "others_left_out")
    )
    return ProgramReport(findings, files, left_out, others, ends)


def read_records(output: ToolOutput) -> list[Mapping[str, Any]]:
    """All that a program printed; the last record is the one that says that it is done.

    Raises:
      ToolOutputError: it did not finish.
    """
    records = answer.read_json_lines(output.stdout)
    if output.exit_code != 0:
        raise ToolOutputError("it crashed")
    if not records or records[-1].get("done") is not True:
        raise ToolOutputError("it stopped half-way")
    return records


def result_of(check: str, output: ToolOutput, report: ProgramReport, measured: str = "") -> CheckResult:
    """What a check says whose programs read every file of their languages. measured: a sentence for its note.

    Raises:
      ToolOutputError: there is Python, and they looked at nothing.
    """
    if output.python_files > 0 and report.files == 0 and not report.findings:
        raise ToolOutputError(f"it looked at none of {output.python_files} Python files")
    missing = [finding.message for finding in report.findings if finding.rule == "tool-missing"]
    status = CheckStatus.ERROR if missing else CheckStatus.FAILED if report.failed else CheckStatus.PASSED
    note = "; ".join(it for it in (*missing, measured, report.note) if it)
    return CheckResult(check, status, report.findings, note, report.files, cut=report.cut)


def ended(what: str, code: int, tail: str) -> str:
    """For people: how a command of the project ended, and the last that it said."""
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    said = tail.strip()[-MAX_TAIL_CHARS:]
    return f"{what} {how}" + (f"\n{said}" if said else "")


def _finding(record: Mapping[str, Any], check: str, category: str) -> Finding:
    severity = _SEVERITIES.get(answer.text(record, "severity"))
    if severity is None:
        raise ToolOutputError("its output has an unknown severity")
    return Finding(
        rule=answer.text(record, "rule"),
        severity=severity,
        message=answer.text(record, "message"),
        check=check,
        category=answer.optional_text(record, "category") or category,
        file=answer.path(record, "file"),
        line=answer.position(record, "line"),
        column=answer.position(record, "column"),
        end_line=answer.position(record, "end_line"),
        end_column=answer.position(record, "end_column"),
        help_url=answer.optional_text(record, "help_url"),
        reference=answer.optional_text(record, "reference"),
        subject=answer.optional_text(record, "subject"),
    )
