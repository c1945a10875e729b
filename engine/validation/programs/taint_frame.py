"""One body of code under evaluation: its variables, and what evaluation needs to know of where it is.

Variables are kept by *access path* (`a`, `a.b`, `a['k']`). Branches write to an environment of their own that lies over
the one before; joining writes back what they changed, so that cost grows with what is written and not with what exists.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, FrozenSet, List, Tuple

from engine.validation.programs.taint_modules import Class, Function, Module
from engine.validation.programs.taint_values import CONSTANT, UNKNOWN, Value, join, named, safe_for

Guards = List[Tuple[str, FrozenSet[str], ast.expr]]
"""Access paths, what a test has made them safe for, and the expressions themselves."""

MAX_PATH = 4


class Env:
    """Variables. subpaths: for each root, the paths below it that were ever written; shared by all overlays."""

    __slots__ = ("parent", "subpaths", "values")

    def __init__(self, parent: Env | None = None) -> None:
        self.values: dict[str, Value | None] = {}
        self.parent = parent
        self.subpaths: dict[str, set[str]] = parent.subpaths if parent else {}

    def get(self, path: str) -> Value | None:
        env: Env | None = self
        while env is not None:
            if path in env.values:
                return env.values[path]
            env = env.parent
        return None

    def set(self, path: str, value: Value) -> None:
        below = self.subpaths.get(root_of(path))
        if below:
            for other in below:
                if other.startswith(path) and other != path:
                    self.values[other] = None
        self.put(path, value)

    def put(self, path: str, value: Value) -> None:
        """As `set`, but what is below the path is still what it was."""
        root = root_of(path)
        if root != path:
            self.subpaths.setdefault(root, set()).add(path)
        self.values[path] = value

    def merge(self, branches: list[Env]) -> None:
        """Take over what the branches, one of which was run, have written."""
        paths: dict[str, None] = {}
        for branch in branches:
            paths.update(dict.fromkeys(branch.values))
        for path in paths:
            self.values[path] = joined([branch.get(path) for branch in branches], path)
            root = root_of(path)
            if root != path:
                self.subpaths.setdefault(root, set()).add(path)


def joined(values: list[Value | None], path: str) -> Value | None:
    """A variable after branches; below a root, what only some have tested is forgotten."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if len(known) < len(values) and path != root_of(path) and all(t.safe for v in known for t in v.labels.values()):
        return None
    out = known[0]
    for value in known[1:]:
        out = join(out, value)
    return out


def root_of(path: str) -> str:
    for index, letter in enumerate(path):
        if letter in ".[":
            return path[:index]
    return path


def path_of(node: ast.AST) -> str:
    """The access path; "" when it has none that can be followed."""
    parts: list[str] = []
    while len(parts) <= MAX_PATH:
        if isinstance(node, ast.Name):
            parts.append(node.id)
            return "".join(reversed(parts))
        if isinstance(node, ast.Attribute):
            parts.append("." + node.attr)
            node = node.value
        elif isinstance(node, ast.Subscript):
            key = constant_key(node)
            if key is None:
                return ""
            parts.append(f"[{key!r}]")
            node = node.value
        elif isinstance(node, ast.Await):
            node = node.value
        else:
            return ""
    return ""


def constant_key(node: ast.Subscript) -> str | None:
    index: Any = node.slice
    if type(index).__name__ == "Index":  # before Python 3.9
        index = index.value
    if isinstance(index, ast.Constant) and isinstance(index.value, (str, int)):
        return str(index.value)[:60]
    return None


class Frame:
    """An evaluation. analysis: what is known of the project. key: names the body, for its findings."""

    handlers: dict[type[ast.AST], Callable[[Frame, Any], Value]] = {}  # noqa: RUF012

    def __init__(self, analysis: Any, module: Module, function: Function | None, env: Env, key: str) -> None:
        self.analysis = analysis
        self.module = module
        self.function = function
        self.owner: Class | None = function.owner if function else None
        self.env = env
        self.key = key
        self.loops = 0
        self.conditions: dict[str, tuple[Guards, Guards]] = {}
        self.results: list[Value] = []
        self.exits: list[tuple[dict[int, frozenset[str]], dict[int, frozenset[str]] | None]] = []
        self.inner: list[Function] = []
        self.view = ""
        self.plain: bool | None = None

    def evaluate(self, node: ast.AST | None) -> Value:
        """What is known of an expression's value; reports what it does wrong on the way."""
        if node is None:
            return CONSTANT
        handler = self.handlers.get(type(node))
        self.analysis.steps += 1
        return handler(self, node) if handler else UNKNOWN

    def define(self, function: Function) -> Value:
        """A function is defined in this body; what is known of it from a turn before is kept."""
        known: Function = self.analysis.inner.setdefault(function.key, function)
        known.closure = self.env
        if known not in self.inner:
            self.inner.append(known)
        return named(known.key)

    def narrow(self, guards: Guards) -> None:
        """Take over what a test has shown."""
        for path, groups, node in guards:
            value = self.env.get(path)
            if value is None:
                value = self.evaluate(node)
            if value.labels:
                self.env.set(path, safe_for(value, groups, same=True))
