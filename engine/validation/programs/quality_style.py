"""Docstrings and names of Python, as PEP 8 and ruff's D and N rules have them. Pure; of the check `quality`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from engine.validation.programs.quality_python import FUNCTIONS, Function, decorators, docstring, every_argument

CAPITALS = re.compile(r"_{0,2}[A-Z]\w*")
LOWER = re.compile(r"[^A-Z]*")
FOREIGN = re.compile(r"visit_\w+|depart_\w+|leave_\w+|do_[A-Z]+|test\w*|(?:async)?(?:set|tear)(?:Up|Down)\w*", re.I)
"""Names that a library looks for by a pattern of its own."""

UNDOCUMENTED = frozenset(("overload", "override", "setter", "deleter"))
"""Decorators of functions whose documentation is elsewhere."""

TESTS = re.compile(r"(?:^|/)(?:tests?/|test_[^/]*$|conftest\.py$|[^/]*_test\.py$)")


class BadName(NamedTuple):
    """A name that is not as PEP 8 has it. number: ruff's for it."""

    message: str
    number: str
    name: str
    line: int
    column: int


def public_names(tree: ast.Module) -> list[tuple[str, bool]]:
    """The module, public classes, functions and methods: the name, and whether there is a docstring."""
    found = [("the module", docstring(tree) is not None)] if tree.body else []
    waiting: list[tuple[ast.AST, str]] = [(it, "") for it in reversed(tree.body)]
    while waiting:
        node, prefix = waiting.pop()
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            if node.name.startswith("_") or (isinstance(node, FUNCTIONS) and UNDOCUMENTED & decorators(node)):
                continue
            name = f"{prefix}{node.name}"[-200:]
            found.append((name, docstring(node) is not None))
            if isinstance(node, ast.ClassDef):
                waiting.extend((it, f"{name}.") for it in reversed(node.body))
        elif isinstance(node, (ast.If, ast.With)) or type(node).__name__ == "Try":
            waiting.extend((it, prefix) for it in ast.iter_child_nodes(node) if not isinstance(it, ast.expr))
    return found


def bad_names(tree: ast.Module, functions: list[Function]) -> Iterator[BadName]:
    """Classes first, then functions with their arguments, in the order of the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not CAPITALS.fullmatch(node.name):
            message = f"class name `{node.name}` should be in CapWords"
            yield BadName(message, "N801", node.name, node.lineno, node.col_offset + 1)
    for function in functions:
        yield from function_names(function)


def function_names(function: Function) -> Iterator[BadName]:
    """A method of a class that has bases may have its names from them: nothing is said of it."""
    node, holder = function.node, function.holder
    if isinstance(holder, ast.ClassDef) and (holder.bases or "override" in decorators(node)):
        return
    if not LOWER.fullmatch(node.name) and not FOREIGN.fullmatch(node.name):
        message = f"function name `{node.name}` should be in lower case"
        yield BadName(message, "N802", node.name, node.lineno, node.col_offset + 1)
    for it in every_argument(node.args):
        if not LOWER.fullmatch(it.arg) and len(it.arg) > 1:
            message = f"argument name `{it.arg}` should be in lower case"
            yield BadName(message, "N803", f"{function.name}({it.arg})", it.lineno, it.col_offset + 1)
