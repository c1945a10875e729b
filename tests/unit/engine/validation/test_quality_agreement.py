"""What is measured of Python agrees with the tools that people know: ruff, complexipy and radon, on this repository."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import complexipy
from radon.metrics import mi_visit

from engine.validation.programs.quality_maintainability import maintainability, text_of
from engine.validation.programs.quality_python import cyclomatic, functions, inner_of, measure

ROOT = Path(__file__).parents[4]
SOURCES = sorted(
    path
    for top in ("engine", "sandbox", "tests", "benchmarks")
    for path in (ROOT / top).rglob("*.py")
    if not {"_gen", "corpus"} & {*path.parts}
)

MATCHING = """
def flat(x):
    match x:
        case 1:
            return 1
        case [2, *_] if x:
            return 2
        case {"a": y} | {"b": y}:
            return y
        case _:
            return 3


def partial(x):
    match x:
        case 1:
            return 1
        case y if y:
            return 2


def named(x):
    match x:
        case 1 | 2:
            return 1
        case y:
            return 2


def trying(x):
    try:
        return x
    except* ValueError:
        pass
    else:
        return 1
    finally:
        for a in x:
            pass
        else:
            pass
"""


def ruff_numbers(paths: list[Path]) -> dict[tuple[str, int], int]:
    """By file and line what C901 says."""
    command = [
        Path(sys.executable).with_name("ruff"), "check", "--isolated", "--ignore-noqa", "--no-cache", "--select=C901",
        "--config=lint.mccabe.max-complexity=0", "--output-format=json", *paths,
    ]  # fmt: skip
    said = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    found = {}
    for it in said:
        number = re.search(r"\((\d+) > 0\)", it["message"])
        assert number is not None
        found[it["filename"], it["location"]["row"]] = int(number[1])
    return found


def test_cyclomatic_complexity_is_that_of_ruff(tmp_path: Path) -> None:
    sample = tmp_path / "matching.py"
    sample.write_text(MATCHING)
    paths = [*SOURCES, sample]
    theirs = ruff_numbers(paths)
    ours = {
        (str(path), function.node.lineno): cyclomatic(function.node)
        for path in paths
        for function in functions(ast.parse(path.read_bytes()))
    }
    assert len(ours) > 5_000
    assert ours == theirs


class Plain(ast.NodeTransformer):
    """Takes out the places that complexipy does not look into, so that both count the same.

    Those are operands other than `and` and `or` of operators, arguments by keyword or with a star, f-strings,
    subscripts, attributes, `await`, `yield`, targets, decorators and defaults; what a function returns that does
    nothing but make another; and functions that stand in a block or class within a function, which it takes to stand no
    deeper. Of an `or` between two `and` it makes two runs where SonarSource sees three.
    """

    def nothing(self, node: ast.AST) -> ast.AST:
        return ast.Constant(value=0)

    visit_JoinedStr = visit_Await = visit_Yield = visit_YieldFrom = visit_NamedExpr = nothing
    visit_Subscript = visit_Starred = visit_Attribute = visit_BinOp = visit_UnaryOp = visit_Compare = nothing

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        last = len(node.values) - 1
        node.values = [
            it if isinstance(it, ast.BoolOp) and at in (0, last) else ast.Name(id="x")
            for at, it in enumerate(node.values)
        ]
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.keywords = []
        node.func = node.func if isinstance(node.func, ast.Name) else ast.Name(id="called")
        return self.generic_visit(node)

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        return ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])

    def visit_Delete(self, node: ast.Delete) -> ast.AST:
        return ast.Pass()

    def visit_match_case(self, node: ast.match_case) -> ast.AST:
        node.guard = None
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        node.targets = [ast.Name(id="y")]
        return self.generic_visit(node)

    def targeted(self, node: ast.AugAssign | ast.AnnAssign | ast.For | ast.AsyncFor | ast.comprehension) -> ast.AST:
        node.target = ast.Name(id="y")
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Name(id="y")
        return self.block(node)

    visit_AugAssign = visit_AnnAssign = visit_For = visit_AsyncFor = visit_comprehension = targeted

    def visit_withitem(self, node: ast.withitem) -> ast.AST:
        node.optional_vars = None
        return self.generic_visit(node)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.decorator_list, node.returns = [], None
        if inner_of(node) is not None:
            node.body[1] = ast.Return()
        node.body = [ast.Pass() if isinstance(it, ast.ClassDef) else it for it in node.body]
        return self.generic_visit(node)

    visit_FunctionDef = visit_AsyncFunctionDef = function

    def block(self, node: ast.AST) -> ast.AST:
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
                setattr(node, field, [ast.Pass() if isinstance(it, inner) else it for it in body])
        return self.generic_visit(node)

    visit_If = visit_While = visit_With = visit_AsyncWith = visit_Try = visit_TryStar = visit_ExceptHandler = block


def test_cognitive_complexity_is_that_of_complexipy_where_it_looks() -> None:
    compared = total = 0
    for path in SOURCES:
        text = ast.unparse(ast.fix_missing_locations(Plain().visit(ast.parse(path.read_bytes()))))
        theirs = {it.line_start: it.complexity for it in complexipy.code_complexity(text).functions}
        for function in functions(ast.parse(text)):
            measures = measure(function, text.encode().split(b"\n"))
            if measures.cognitive is not None and measures.line in theirs:
                compared += 1
                total += measures.cognitive
                assert measures.cognitive == theirs[measures.line], f"{path}: {ast.unparse(function.node)}"
    assert compared > 4_000
    assert total > 5_000


def test_cognitive_complexity_is_never_less_than_what_complexipy_sees() -> None:
    compared = 0
    for path in SOURCES:
        data = path.read_bytes()
        theirs = {it.line_start: it.complexity for it in complexipy.file_complexity(str(path)).functions}
        for function in functions(ast.parse(data)):
            measures = measure(function, data.split(b"\n"))
            if measures.cognitive is not None and measures.line in theirs:
                compared += 1
                assert measures.cognitive >= theirs[measures.line], f"{path}: {measures.name}"
    assert compared > 4_000


def test_maintainability_is_near_that_of_radon() -> None:
    differences = []
    for path in SOURCES[::6]:  # radon takes a while
        data = path.read_bytes()
        text = text_of(data)
        assert text is not None
        if data.strip():
            differences.append(abs(maintainability(ast.parse(data), text) - mi_visit(data.decode(), True)))
    assert len(differences) > 60
    assert max(differences) < 0.5
    assert sum(differences) / len(differences) < 0.01
