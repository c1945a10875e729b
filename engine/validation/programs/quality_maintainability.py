"""The maintainability index of a Python file, by radon's formula, and what its comments say. Pure; of `quality`.

171 - 5.2 ln(Halstead volume) - 0.23 cyclomatic complexity - 16.2 ln(logical lines) + 50 sin(sqrt(2.46 comments)), from
0 to 100.
"""

from __future__ import annotations

import ast
import io
import math
import tokenize
from typing import NamedTuple

OPERATIONS = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.AugAssign, ast.Compare)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Text(NamedTuple):
    """What the tokens of a file tell. comments: by line. share: of comments, per cent of the lines with code."""

    comments: dict[int, str]
    logical_lines: int
    share: float


class Lines:
    """Counts statements and kinds of lines while tokens go by."""

    def __init__(self, blank: frozenset[int]) -> None:
        self.blank = blank
        self.comments: dict[int, str] = {}
        self.logical = 0
        self.code = 0
        self.multi = 0
        self.statement: list[tuple[int, str]] = []
        self.first_row = 0

    def token(self, token: tokenize.TokenInfo) -> None:
        if token.type == tokenize.COMMENT:
            self.comments[token.start[0]] = token.string
        elif token.type == tokenize.NEWLINE:
            self.end(token.start[0])
        elif token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER):
            if not self.statement:
                self.first_row = token.start[0]
            self.statement.append((token.type, token.string if token.type == tokenize.OP else ""))

    def end(self, row: int) -> None:
        """A statement is over. One with a colon in it that does not end with it counts as two, as radon has it."""
        parts: list[list[str]] = [[]]
        for kind, text in self.statement:
            if kind == tokenize.OP and text == ";":
                parts.append([])
            else:
                parts[-1].append(text)
        self.logical += sum(1 + (":" in part and part[-1] != ":") for part in parts if part)
        rows = range(self.first_row, row + 1)
        filled = sum(it not in self.blank for it in rows)
        if len(self.statement) == 1 and self.statement[0][0] == tokenize.STRING:
            self.multi += filled if len(rows) > 1 else 0
        else:
            self.code += filled
        self.statement = []


def text_of(data: bytes) -> Text | None:
    """None when the file falls into no tokens."""
    rows = data.split(b"\n")
    lines = Lines(frozenset(number for number, row in enumerate(rows, 1) if not row.strip()))
    try:
        for token in tokenize.tokenize(io.BytesIO(data).readline):
            lines.token(token)
    except (tokenize.TokenError, SyntaxError, ValueError):
        return None
    share = (len(lines.comments) + lines.multi) / lines.code * 100 if lines.code else 0.0
    return Text(lines.comments, lines.logical, share)


def maintainability(tree: ast.Module, text: Text) -> float:
    """From 0 to 100; 100 when there is nothing to maintain."""
    volume = halstead_volume(tree)
    if volume <= 0 or text.logical_lines <= 0:
        return 100.0
    scale = math.sqrt(2.46 * math.radians(text.share))
    index = 171 - 5.2 * math.log(volume) - 0.23 * complexity(tree) - 16.2 * math.log(text.logical_lines)
    return min(max(0.0, (index + 50 * math.sin(scale)) * 100 / 171), 100.0)


def complexity(tree: ast.Module) -> int:
    """Decisions of the file as radon counts them: with those of functions and methods, not of what is within these."""
    count = 1
    waiting: list[tuple[ast.AST, ast.AST]] = [(tree, tree)]
    while waiting:
        node, holder = waiting.pop()
        if node is not holder and isinstance(node, (ast.ClassDef, *FUNCTIONS)):
            if isinstance(holder, FUNCTIONS) or (isinstance(holder, ast.ClassDef) and isinstance(node, ast.ClassDef)):
                continue
            count += isinstance(holder, ast.ClassDef)
            waiting.extend((it, node) for it in node.body)
        else:
            count += decisions(node)
            below = () if isinstance(node, ast.Assert) else ast.iter_child_nodes(node)
            waiting.extend((it, holder) for it in below)
    return count


def decisions(node: ast.AST) -> int:
    kind = type(node).__name__
    if kind == "Try":
        return len(node.handlers) + bool(node.orelse)  # type: ignore[attr-defined]
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
        return 1 + bool(node.orelse)
    if kind == "Match":
        cases = node.cases  # type: ignore[attr-defined]
        return len(cases) - any(getattr(it.pattern, "pattern", False) is None for it in cases)
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    return int(isinstance(node, (ast.If, ast.IfExp, ast.Assert)))


def halstead_volume(tree: ast.Module) -> float:
    """Operators and operands of operations; an operand is told apart by the function that it is in."""
    total = 0
    operators: set[str] = set()
    operands: set[tuple[str, object]] = set()
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, function = waiting.pop()
        if isinstance(node, OPERATIONS):
            signs, values = operation(node)
            total += len(signs) + len(values)
            operators.update(type(it).__name__ for it in signs)
            operands.update((function, operand(it)) for it in values)
        if isinstance(node, FUNCTIONS):
            waiting.extend((it, node.name) for it in node.body)
        else:
            waiting.extend((it, function) for it in ast.iter_child_nodes(node))
    return total * math.log(len(operators) + len(operands), 2) if total else 0.0


def operation(node: ast.AST) -> tuple[list[ast.AST], list[ast.AST]]:
    """The operators and operands of one of OPERATIONS."""
    if isinstance(node, ast.BinOp):
        return [node.op], [node.left, node.right]
    if isinstance(node, ast.UnaryOp):
        return [node.op], [node.operand]
    if isinstance(node, ast.BoolOp):
        return [node.op], [*node.values]
    if isinstance(node, ast.AugAssign):
        return [node.op], [node.target, node.value]
    assert isinstance(node, ast.Compare)
    return [*node.ops], [*node.comparators, node.left]


def operand(node: ast.AST) -> object:
    """Names, attributes and constants are known again; whatever else is always another."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.value if isinstance(node, ast.Constant) else node
