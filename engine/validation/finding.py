"""`Finding`: what every validator reports, whatever tool stands behind it. Pure records.

Lines and columns count from 1; 0 means that the tool did not say. Columns count characters. An end column is
the first column after the end. `file` is relative to the workspace; bytes of a name that are not UTF-8 are
carried as `surrogateescape` does (`os.fsencode` gives the name back). Text comes from untrusted tools: it is
bounded here and escaped by whoever shows it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

MAX_MESSAGE_CHARS: Final = 2000
MAX_EDIT_CHARS: Final = 4000
"""A fix with a longer edit is left out of its finding: half a fix is none."""

GRAVE: Final = "-error"

_NUMBERED_LINE: Final = re.compile(r"\bline \d+")
_HALF_PAIR: Final = re.compile("[\ud800-\udfff]")


class Severity(StrEnum):
    """ERROR: wrong. WARNING: doubtful. INFO: worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


RANK: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}
"""Severities from the least."""


class Applicability(StrEnum):
    """SAFE: keeps the meaning. UNSAFE: may change it. DISPLAY: a suggestion to read, not to apply."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    DISPLAY = "display"


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the text from (line, column) up to (end_line, end_column) by `content`."""

    line: int
    column: int
    end_line: int
    end_column: int
    content: str


@dataclass(frozen=True, slots=True)
class Fix:
    """Edits of one file that belong together: all or none."""

    edits: tuple[Edit, ...]
    applicability: Applicability
    message: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a validator.

    rule: the tool's code for it. check: the check that found it. category: what kind of fault, over all tools
    (`syntax`, `lint`, `type`, `tool`, ...). reference: what the rule stands for in a catalogue of faults, `CWE-89` or
    `WCAG 1.4.3`; "" when there is none. subject: what the fingerprint is made of in place of the message, for findings
    whose message has a measured number in it; "" for the others and once there is a fingerprint. fingerprint: the same
    for the same fault after lines were moved, and different for each finding of one report; set by `with_fingerprints`.
    """

    rule: str
    severity: Severity
    message: str
    check: str
    category: str
    file: str = ""
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    help_url: str = ""
    fix: Fix | None = None
    reference: str = ""
    subject: str = ""
    fingerprint: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` gives an equal finding back."""
        values = asdict(self) | {
            "severity": self.severity.value,
            "fix": None if self.fix is None else _fix_json(self.fix),
        }
        del values["subject"]  # of no use to anyone but `with_fingerprints`
        return values

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Finding:
        """The finding that `to_json` wrote.

        Raises:
          ValueError, KeyError, TypeError: `value` was not written by `to_json`.
        """
        fix = value["fix"]
        return cls(
            **{
                **value,
                "severity": Severity(value["severity"]),
                "fix": None if fix is None else _fix_from_json(fix),
            }
        )

    @property
    def place(self) -> str:
        """`file:line:column`, as far as known; "" for a finding about no file."""
        parts = [self.file, *(str(number) for number in (self.line, self.column) if number)]
        return ":".join(parts) if self.file else ""


def bounded(text: str, limit: int = MAX_MESSAGE_CHARS) -> str:
    """`text` cut to `limit` characters, with half surrogate pairs (which JSON can carry) replaced."""
    whole = _HALF_PAIR.sub("\ufffd", text[: limit + 1])
    return whole if len(whole) <= limit else whole[: limit - 1] + "…"


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By file, place, check and rule; a total order, so that equal results read equal."""
    return tuple(
        sorted(findings, key=lambda it: (it.file, it.line, it.column, it.check, it.rule, it.message, it.end_line))
    )


def with_fingerprints(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The same findings, each with its fingerprint.

    Made of check, rule, file and message (line numbers in it left out), never of the line itself; equal
    findings are told apart by counting them in the order given. Of a finding with a subject that stands for the
    message, and an error's ends with GRAVE: what was a warning and is an error now is another finding.
    """
    seen: Counter[tuple[str, str, str, str]] = Counter()
    marked = []
    for finding in findings:
        told = finding.subject or _NUMBERED_LINE.sub("line", finding.message)
        key = (finding.check, finding.rule, finding.file, told)
        text = "\0".join((*key, str(seen[key])))
        seen[key] += 1
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        grave = GRAVE if finding.subject and finding.severity is Severity.ERROR else ""
        marked.append(replace(finding, subject="", fingerprint=digest[:32] + grave))
    return tuple(marked)


def _fix_json(fix: Fix) -> dict[str, Any]:
    return {
        "edits": [asdict(edit) for edit in fix.edits],
        "applicability": fix.applicability.value,
        "message": fix.message,
    }


def _fix_from_json(value: Mapping[str, Any]) -> Fix:
    edits = tuple(Edit(**edit) for edit in value["edits"])
    return Fix(edits, Applicability(value["applicability"]), value["message"])
