"""Finds slow patterns in Python source; part of the `performance` check. Nothing of the project runs.

Comments `# noqa` silence a line: all of it, or by our rule's name or that of ruff for the same fault.
"""

from __future__ import annotations

from engine.validation.programs.performance_findings import Finding, not_analysed
from engine.validation.programs.performance_functions import function_faults
from engine.validation.programs.performance_loops import Fault, loop_faults
from engine.validation.programs.performance_scopes import Source, TooIntricateError
from engine.validation.programs.python_source import parsed, silenced_lines

SUFFIXES = (b".py", b".pyi", b".pyw")


def findings(data: bytes, path: bytes) -> list[Finding]:
    """What is slow in a file, in its order. Never raises for what is in it."""
    tree = parsed(data)
    if tree is None:
        return [not_analysed("not checked: it cannot be parsed")]
    found: list[Fault] = []
    cut = False
    try:
        source = Source(tree)
        for judged in (loop_faults, function_faults):
            found.extend(judged(source))
    except (TooIntricateError, RecursionError):
        cut = True
    silenced = silenced_lines(data, frozenset(("noqa",))) if b"noqa" in data.lower() else {}
    made = sorted({located(it) for it in found if not is_silenced(it, silenced)}, key=lambda it: (it.line, it.column))
    return [*made, *([not_analysed("only partly checked: it is too intricate")] if cut else [])]


def located(fault: Fault) -> Finding:
    node = fault.node
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
    end_line, end_column = getattr(node, "end_lineno", None) or 0, getattr(node, "end_col_offset", None)
    end = 0 if end_column is None else end_column + 1
    return Finding(fault.rule, fault.severity, fault.message, line, column, end_line, end, fault.reference)


def is_silenced(fault: Fault, silenced: dict[int, frozenset[str]]) -> bool:
    accepted = {"*", fault.rule, fault.reference}
    first = getattr(fault.node, "lineno", 0)
    last = getattr(fault.node, "end_lineno", None) or first
    return any(silenced.get(line, frozenset()) & accepted for line in range(first, last + 1))
