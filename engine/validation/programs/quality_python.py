"""Measures Python: complexity, nesting, length and parameters of functions, docstrings, names. Pure; of `quality`.

Cyclomatic complexity is that of ruff's C901, cognitive complexity that of SonarSource as complexipy counts it, but with
the boolean operators and loops that complexipy does not look for (in f-strings, subscripts, arguments with a star).
No function here calls itself, so the depth of a tree does not matter.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from engine.validation.programs.quality_measures import Measures

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
TRIES = ("Try", "TryStar")
"""By name, as is `Match`: older interpreters do not have them."""

BLOCKS = (*LOOPS, ast.With, ast.AsyncWith)


class Function(NamedTuple):
    """A function, its dotted name, what it stands in, and whether another function is around it."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    name: str
    holder: ast.AST
    inner: bool


def functions(tree: ast.Module) -> Iterator[Function]:
    """All of a file."""
    waiting: list[tuple[ast.AST, str, ast.AST, bool]] = [(tree, "", tree, False)]
    while waiting:
        node, name, holder, inner = waiting.pop()
        if isinstance(node, FUNCTIONS):
            name = f"{name}.{node.name}" if name else node.name
            yield Function(node, name, holder, inner)
            holder, inner = node, True
        elif isinstance(node, ast.ClassDef):
            name = f"{name}.{node.name}" if name else node.name
            holder = node
        below = [it for it in ast.iter_child_nodes(node) if not isinstance(it, ast.expr)]
        waiting.extend((it, name[-200:], holder, inner) for it in reversed(below))


def measure(function: Function, lines: list[bytes]) -> Measures:
    """lines: those of the file."""
    node = function.node
    ends = [node.lineno]
    ends += [it.end_lineno or 0 for it in every_argument(node.args)]
    ends += [node.returns.end_lineno or 0] if node.returns is not None else []
    end_line = max(ends)
    head = lines[end_line - 1].decode("utf-8", "replace").rstrip() if end_line <= len(lines) else ""
    return Measures(
        name=function.name,
        line=node.lineno,
        column=node.col_offset + 1,
        end_line=end_line,
        end_column=len(head) + 1,
        cyclomatic=cyclomatic(node),
        cognitive=None if function.inner else cognitive(node),
        nesting=nesting(node),
        length=length(node),
        parameters=parameters(node, isinstance(function.holder, ast.ClassDef)),
        named=True,
    )


def cyclomatic(function: ast.AST) -> int:
    """As ruff counts it: a function within counts as one and with all that is in it."""
    count = 0
    waiting: list[ast.AST] = [function]
    while waiting:
        node = waiting.pop()
        kind = type(node).__name__
        if isinstance(node, (*FUNCTIONS, *LOOPS, ast.If, ast.ExceptHandler)):
            count += 1
        elif kind in TRIES:
            count += bool(node.orelse)  # type: ignore[attr-defined]
        elif kind == "Match":
            cases = node.cases  # type: ignore[attr-defined]
            count += len(cases) - (cases[-1].guard is None and takes_all(cases[-1].pattern))
        waiting.extend(it for it in ast.iter_child_nodes(node) if not isinstance(it, ast.expr))
    return count


def takes_all(pattern: ast.AST) -> bool:
    """A pattern that fits everything: `_`, a name, or such a one behind `|` or `as`."""
    waiting: list[ast.AST] = [pattern]
    while waiting:
        it = waiting.pop()
        kind = type(it).__name__
        if kind == "MatchOr":
            waiting.extend(it.patterns)  # type: ignore[attr-defined]
        elif kind == "MatchAs":
            if it.pattern is None:  # type: ignore[attr-defined]
                return True
            waiting.append(it.pattern)  # type: ignore[attr-defined]
    return False


def cognitive(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """With all that is in the function; that it calls itself counts once."""
    count = 0
    recursive = False
    waiting: list[tuple[ast.AST, int]] = [(it, deeper - 1) for it, deeper in below(function)]
    while waiting:
        node, level = waiting.pop()
        if isinstance(node, ast.BoolOp):
            sequences, operands = boolean(node)
            count += sequences
            waiting.extend((it, level) for it in operands)
        elif isinstance(node, ast.If):
            count += 1 + level + alternatives(node, level, waiting)
        else:
            count += costs(node, level)
            waiting.extend((it, level + deeper) for it, deeper in below(node))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            recursive = recursive or node.func.id == function.name
    return count + recursive


def costs(node: ast.AST, level: int) -> int:
    """What the node itself adds."""
    if isinstance(node, (*LOOPS, ast.IfExp, ast.ExceptHandler)) or type(node).__name__ == "Match":
        return 1 + level
    if isinstance(node, COMPREHENSIONS):
        return sum(1 + level + len(it.ifs) for it in node.generators)
    return 0


def below(node: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """The nodes right below, each with how much deeper it counts."""
    kind = type(node).__name__
    if isinstance(node, FUNCTIONS):
        yield from ((it, 1 - (it is inner_of(node))) for it in node.body)
    elif isinstance(node, ast.Lambda):
        yield node.body, 1
    elif isinstance(node, ast.IfExp):
        yield from ((node.test, 0), (node.body, 1), (node.orelse, 1))
    elif isinstance(node, ast.comprehension):
        yield node.iter, -1
        yield from ((it, 0) for it in (node.target, *node.ifs))
    elif isinstance(node, LOOPS):
        inside = {id(it) for it in node.body}
        yield from ((it, int(id(it) in inside)) for it in ast.iter_child_nodes(node))
    elif isinstance(node, (*COMPREHENSIONS, ast.ExceptHandler)) or kind == "match_case":
        yield from ((it, 1) for it in ast.iter_child_nodes(node))
    else:
        yield from ((it, 0) for it in ast.iter_child_nodes(node))


def alternatives(node: ast.If, level: int, waiting: list[tuple[ast.AST, int]]) -> int:
    """What the `elif` and `else` of an `if` add; hands on what stands in all branches."""
    count = 0
    while True:
        waiting.append((node.test, level))
        waiting.extend((it, level + 1) for it in node.body)
        if not node.orelse:
            return count
        count += 1
        following = elif_of(node)
        if following is None:
            waiting.extend((it, level + 1) for it in node.orelse)
            return count
        node = following


def elif_of(node: ast.If) -> ast.If | None:
    """The `elif` behind an `if`; an `if` below an `else` stands further to the right."""
    if len(node.orelse) == 1:
        only = node.orelse[0]
        if isinstance(only, ast.If) and only.col_offset == node.col_offset:
            return only
    return None


def boolean(node: ast.BoolOp) -> tuple[int, list[ast.AST]]:
    """How many runs of equal operators an expression has, read from left to right, and what they join."""
    operators: list[type] = []
    operands: list[ast.AST] = []
    waiting: list[ast.AST | type] = [node]
    while waiting:
        it = waiting.pop()
        if isinstance(it, type):
            operators.append(it)
        elif isinstance(it, ast.BoolOp):
            for value in reversed(it.values[1:]):
                waiting += [value, type(it.op)]
            waiting.append(it.values[0])
        else:
            operands.append(it)
    runs = 1 + sum(former is not latter for former, latter in zip(operators, operators[1:]))
    return runs, operands


def inner_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt | None:
    """The function that this one only makes and returns, as decorators do: what is in it counts no deeper."""
    body = function.body
    return body[0] if len(body) == 2 and isinstance(body[0], FUNCTIONS) and isinstance(body[1], ast.Return) else None


def nesting(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many blocks stand in each other; `elif` is no further one, other functions count for themselves."""
    deepest = 0
    waiting: list[tuple[ast.AST, int]] = [(it, 0) for it in function.body]
    while waiting:
        node, level = waiting.pop()
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.expr)):
            continue
        if isinstance(node, (*BLOCKS, ast.If)) or type(node).__name__ in (*TRIES, "Match"):
            level += 1
            deepest = max(deepest, level)
        following = elif_of(node) if isinstance(node, ast.If) else None
        waiting.extend((it, level - (it is following)) for it in ast.iter_child_nodes(node))
    return deepest


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without those of the docstring."""
    told = docstring(function)
    own = (function.end_lineno or function.lineno) - function.lineno + 1
    return own - ((told.end_lineno or told.lineno) - told.lineno + 1 if told is not None else 0)


def docstring(node: ast.AST) -> ast.stmt | None:
    body = getattr(node, "body", None)
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        return body[0] if isinstance(body[0].value.value, str) else None
    return None


def every_argument(arguments: ast.arguments) -> list[ast.arg]:
    stars = [it for it in (arguments.vararg, arguments.kwarg) if it is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars]


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef, method: bool) -> int:
    """Without `self` or `cls`, `*args`, `**kwargs`, and those that say by their name that they are not used."""
    given = function.args
    ordered = [*given.posonlyargs, *given.args]
    if method and "staticmethod" not in decorators(function):
        ordered = ordered[1:]
    return sum(not it.arg.startswith("_") for it in (*ordered, *given.kwonlyargs))


def decorators(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The last words of their names."""
    names = set()
    for it in function.decorator_list:
        called = it.func if isinstance(it, ast.Call) else it
        names.add(
            called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        )
    return names
