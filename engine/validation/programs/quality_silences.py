"""Comments that silence findings: `# noqa`, `# complexipy: ignore`, `eslint-disable`, `nolint`, `NOLINT`. Pure.

Of the check `quality`. Besides its own name a rule goes by those that other tools have for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from engine.validation.programs.quality_limits import COGNITIVE, CYCLOMATIC, FILE, LENGTH, NESTING, PARAMETERS

OTHER_NAMES: Mapping[str, frozenset[str]] = {
    COGNITIVE: frozenset(
        (
            "c901", "ccr001", "complexipy", "gocognit", "sonarjs/cognitive-complexity", "complexity",
            "readability-function-cognitive-complexity",
        )
    ),
    CYCLOMATIC: frozenset(("c901", "complexity", "gocyclo", "cyclop")),
    LENGTH: frozenset(("plr0915", "max-lines-per-function", "funlen", "readability-function-size")),
    PARAMETERS: frozenset(("plr0913", "plr0917", "max-params")),
    NESTING: frozenset(("plr1702", "max-depth", "nestif")),
    FILE: frozenset(("max-lines", "c0302")),
    "duplicate-code": frozenset(("r0801", "dupl")),
}  # fmt: skip

EVERYTHING = frozenset(("*",))
MAX_RANGES = 100
"""Ranges that are taken from one file; a file with more has them to be slow with."""

NOQA = re.compile(r"#\s*noqa\b(?:\s*:\s*([\w, \t/-]*))?", re.IGNORECASE)
WHOLE_FILE = re.compile(r"#\s*(?:ruff|flake8)\s*:\s*noqa\b(?:\s*:\s*([\w, \t/-]*))?", re.IGNORECASE)
COMPLEXIPY = re.compile(r"#\s*complexipy\s*:\s*ignore", re.IGNORECASE)

ESLINT = re.compile(rb"(?:eslint|oxlint)-(disable(?:-next-line|-line)?|enable)\b([^\n*]*)")
NOLINT = re.compile(rb"//\s*(?:nolint\b(?::([\w,-]*))?|NOLINT(NEXTLINE)?\b(?:\(([\w, *-]*)\))?)")


class Silences:
    """What one file's comments silence: single lines, and ranges of lines."""

    def __init__(self) -> None:
        self.lines: dict[int, frozenset[str]] = {}
        self.ranges: list[tuple[int, float, frozenset[str]]] = []

    def add(self, line: int, names: frozenset[str]) -> None:
        self.lines[line] = self.lines.get(line, frozenset()) | names

    def silent(self, rule: str, lines: Iterable[int], names: Iterable[str] = ()) -> bool:
        """Whether a comment on one of `lines` names the rule, or everything. names: other ones of this finding."""
        accepted = {"*", rule, *OTHER_NAMES.get(rule, ()), *(it.lower() for it in names)}
        asked = list(lines)
        return any(accepted & self.lines.get(line, frozenset()) for line in asked) or any(
            accepted & what and first <= asked[0] <= last for first, last, what in self.ranges
        )


def of_python(comments: Mapping[int, str]) -> Silences:
    """comments: of each line that has one."""
    found = Silences()
    for line, text in comments.items():
        whole = WHOLE_FILE.search(text)
        noqa = None if whole else NOQA.search(text)
        if whole and len(found.ranges) < MAX_RANGES:
            found.ranges.append((0, float("inf"), named(whole[1])))
        if noqa:
            found.add(line, named(noqa[1]))
        if COMPLEXIPY.search(text):
            found.add(line, frozenset(("complexipy",)))
    return found


def of_others(data: bytes) -> Silences:
    """Of the languages whose comments begin with two slashes."""
    found = Silences()
    begun: dict[frozenset[str], int] = {}
    if b"lint" not in data and b"LINT" not in data:
        return found
    for number, line in enumerate(data.split(b"\n"), 1):
        for match in ESLINT.finditer(line):
            what, names = match[1], named(match[2].decode("utf-8", "replace").split("--")[0])
            if what == b"disable":
                begun.setdefault(names, number)
            elif what == b"enable":
                ended = [it for it in begun if names == EVERYTHING or it == names]
                found.ranges += [(begun.pop(it), number, it) for it in ended][: MAX_RANGES - len(found.ranges)]
            else:
                found.add(number + (what == b"disable-next-line"), names)
        for match in NOLINT.finditer(line):
            names = named((match[1] or match[3] or b"").decode("utf-8", "replace"))
            found.add(number + bool(match[2]), EVERYTHING if "all" in names else names)
    left = [(first, float("inf"), names) for names, first in begun.items()]
    found.ranges += left[: MAX_RANGES - len(found.ranges)]
    return found


def named(text: str | None) -> frozenset[str]:
    """The rules that a comment lists; none is all."""
    return frozenset(it.lower() for it in re.split(r"[\s,]+", text or "") if it.strip("-")) or EVERYTHING
