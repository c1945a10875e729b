"""Finds security faults in JavaScript and TypeScript; part of the `security` check, and a program of its own.

Runs as `python3 -I PROGRAMS security_javascript SKIPPED [LISTING]`; needs tree-sitter and its grammars. Files that are
minified or too large, and what is nested too deeply, are passed over with a finding of severity info that says so.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator

from engine.validation.programs.javascript_patterns import harms
from engine.validation.programs.javascript_rules import REFERENCES
from engine.validation.programs.javascript_taint import Analysis, Harm
from engine.validation.programs.javascript_tree import (
    GRAMMARS,
    MAX_LINE,
    MAX_TEXT,
    UnparsableError,
    parse,
    written_by_hand,
)
from engine.validation.programs.looking import Report, arguments_of, look

SUFFIXES = tuple(GRAMMARS)

EMBEDDED_SUFFIXES = (b".vue", b".svelte", b".html", b".htm")
"""Files whose scripts `check_embedded` looks at."""

STEPS_PER_NODE = 30
RECURSION = 6_000

SCRIPT_BEGIN = re.compile(rb"<script\b([^>]{0,500})>", re.I)
SCRIPT_END = re.compile(rb"</script", re.I)
FILLED_IN = re.compile(rb"\{\{|\{%|<%|\{@")
OTHER_TYPE = re.compile(rb"(?i)\btype=[\"']?(?!text/javascript|module|application/javascript|text/typescript)")


def check(data: bytes, path: bytes, report: Report) -> None:
    """Report what is wrong in one file. Never raises for what is in it."""
    if not written_by_hand(data, path):
        if not path.endswith(b"ts"):
            note(report, path, "not checked: minified or too large")
        return
    guarded(data, path, report, os.path.splitext(path)[1].lower())


def check_embedded(data: bytes, path: bytes, report: Report) -> None:
    """Report what is wrong in the scripts of a page or component, at their places in it."""
    data = data[:MAX_TEXT]
    kept = bytearray(re.sub(rb"[^\n]", b" ", data))
    typed = False
    for attributes, start, end in scripts(data):
        body = data[start:end]
        if not FILLED_IN.search(body) and not OTHER_TYPE.search(attributes):
            kept[start:end] = body
            typed = typed or b"ts" in attributes
    if kept.strip() and max(map(len, kept.split(b"\n"))) <= MAX_LINE:
        guarded(bytes(kept), path, report, b".ts" if typed else b".js")


def scripts(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The attributes of each script, and where its text begins and ends."""
    opening = SCRIPT_BEGIN.search(data)
    while opening is not None:
        closing = SCRIPT_END.search(data, opening.end())
        if closing is None:
            return
        yield opening[1], opening.end(), closing.start()
        opening = SCRIPT_BEGIN.search(data, closing.end())


def guarded(data: bytes, path: bytes, report: Report, suffix: bytes) -> None:
    """`look_at` with room for the nesting that is followed."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION))
    try:
        look_at(data, path, report, suffix)
    finally:
        sys.setrecursionlimit(before)


def look_at(data: bytes, path: bytes, report: Report, suffix: bytes) -> None:
    try:
        script = parse(data, suffix)
    except UnparsableError:
        note(report, path, "not checked: the parser does not come to an end with it", "warning")
        return
    analysis = Analysis(script.root, 2_000 + STEPS_PER_NODE * sum(1 for _ in script.root.walk()))
    found: dict[tuple[str, int], Harm] = {}
    for harm in [*analysis.run(), *harms(script.root, analysis.calls)]:
        found.setdefault((harm.rule, harm.node.start), harm)
    for harm in sorted(found.values(), key=lambda it: (it.node.line, it.node.column, it.rule)):
        if script.silenced(harm.node.line, harm.rule):
            continue
        report.add(
            harm.rule,
            harm.message,
            path,
            harm.severity,
            line=harm.node.line,
            column=harm.node.column,
            category="security",
            reference=reference(harm.rule, harm.message),
        )
    if analysis.cut:
        note(report, path, "only partly checked: too deeply nested or too intricate")


def reference(rule: str, message: str) -> str:
    """The weakness: a cookie that only scripts can read is another than one that goes over plain HTTP."""
    return "CWE-1004" if rule == "insecure-cookie" and "no secure" not in message else REFERENCES[rule]


def note(report: Report, path: bytes, message: str, severity: str = "info") -> None:
    report.add("not-analysed", message, path, severity, category="security")


def checker(path: bytes) -> Callable[[bytes, bytes, Report], None] | None:
    if path.lower().endswith(EMBEDDED_SUFFIXES):
        return check_embedded
    return check if path.lower().endswith(SUFFIXES) else None


def main(arguments: list[str]) -> None:
    look(*arguments_of(arguments), checker, [])
