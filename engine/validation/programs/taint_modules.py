"""The files of a project as the taint engine sees them: modules, classes, functions, and what an import names.

A module is found by any end of its dotted path (`src/app/db.py` is `app.db`), nearest to the importing file first, so
that no configuration is needed. What is known of a library is never taken for a file of the project.
"""

from __future__ import annotations

import ast
from typing import Any, Union

from engine.validation.programs.taint_functions import PROPAGATORS
from engine.validation.programs.taint_rules import SANITIZERS
from engine.validation.programs.taint_sinks import SINKS
from engine.validation.programs.taint_values import Label, Value

LIBRARIES = frozenset(name.partition(".")[0] for table in (SINKS, SANITIZERS, PROPAGATORS) for name in table)

FunctionNode = Union[ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda]


class Hit:
    """A parameter reaches a sink. direct: nothing was put before or after it on the way."""

    __slots__ = ("built", "column", "end_line", "file", "group", "line", "marked", "name", "safe", "text", "via")

    def __init__(self, group: str, file: str, node: Any, name: str, built: bool, marked: bool) -> None:
        self.group = group
        self.file = file
        self.line: int = node.lineno
        self.column: int = node.col_offset + 1
        self.end_line: int = getattr(node, "end_lineno", None) or node.lineno
        self.name = name
        self.built = built
        self.marked = marked
        self.via: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, int, int, bool]:
        return (self.group, self.file, self.line, self.column, self.built)


class Summary:
    """What callers need to know of a function. sinks: by parameter. result: with the parameters as labels.

    validates: parameters that are harmless for some groups when the function returns. guards: the same when what it
    returns is true.
    """

    def __init__(self) -> None:
        self.sinks: dict[int, dict[tuple[str, str, int, int, bool], Hit]] = {}
        self.result: Value | None = None
        self.validates: dict[int, frozenset[str]] = {}
        self.guards: dict[int, frozenset[str]] = {}

    def shape(self) -> tuple[Any, ...]:
        """Equal for summaries that callers cannot tell apart."""
        result = self.result
        labels = frozenset((label, trace.safe) for label, trace in result.labels.items()) if result else None
        sinks = frozenset((index, key) for index, hits in self.sinks.items() for key in hits)
        kept = (result.built, result.ref) if result else None
        return (sinks, labels, kept, tuple(sorted(self.validates.items())), tuple(sorted(self.guards.items())))


class Function:
    """A function, method or lambda of the project."""

    def __init__(self, key: str, node: FunctionNode, module: Module, owner: Class | None, closure: Any) -> None:
        self.key = key
        self.name: str = getattr(node, "name", "lambda")
        self.node = node
        self.module = module
        self.owner = owner
        self.closure = closure
        arguments = node.args
        positional = [*getattr(arguments, "posonlyargs", []), *arguments.args]
        self.arguments: list[ast.arg] = [*positional, *arguments.kwonlyargs]
        self.parameters = [it.arg for it in self.arguments]
        self.positional = len(positional)
        self.rest = arguments.vararg.arg if arguments.vararg else ""
        self.options = arguments.kwarg.arg if arguments.kwarg else ""
        if self.rest:
            self.parameters.append(self.rest)
        if self.options:
            self.parameters.append(self.options)
        self.summary = Summary()
        self.rounds = 0
        self.running = False

    @property
    def bound(self) -> bool:
        """Its first parameter is given by the call of a method."""
        decorators = {getattr(it, "id", "") for it in getattr(self.node, "decorator_list", ())}
        return self.owner is not None and "staticmethod" not in decorators

    def label(self, index: int) -> Label:
        return Label("param", self.parameters[index], self.module.shown, self.node.lineno, self.key, index)


class Class:
    """A class of the project. fields: what methods give to `self`."""

    def __init__(self, key: str, node: ast.ClassDef, module: Module) -> None:
        self.key = key
        self.name = node.name
        self.node = node
        self.module = module
        self.bases = [dotted(it) for it in node.bases]
        self.methods: dict[str, Function] = {}
        self.fields: dict[str, Value] = {}


class Module:
    """A file. Its key is its dotted path from the root of what is checked."""

    def __init__(self, path: bytes, shown: str, tree: ast.Module) -> None:
        self.path = path
        self.shown = shown
        self.tree = tree
        parts = shown[: shown.rfind(".")].split("/")
        self.package = parts[-1] == "__init__"
        self.parts = tuple(parts[:-1] if self.package else parts)
        self.key = ".".join(self.parts) or "__init__"
        self.functions: dict[str, Function] = {}
        self.classes: dict[str, Class] = {}
        self.env: Any = None
        self.running = False
        self.imports: set[str] = set()
        self.index()

    def index(self) -> None:
        """Find the functions and classes at its top, also those below `if` and `try`."""
        todo: list[ast.stmt] = list(reversed(self.tree.body))
        while todo:
            node = todo.pop()
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.functions.setdefault(node.name, Function(f"{self.key}:{node.name}", node, self, None, None))
            elif isinstance(node, ast.ClassDef):
                self.add_class(node)
            elif isinstance(node, ast.Import):
                self.imports.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                self.imports.add((node.module or "").partition(".")[0])
            elif isinstance(node, (ast.If, ast.Try, ast.With)):
                for name in ("finalbody", "orelse", "handlers", "body"):
                    for it in reversed(getattr(node, name, ())):
                        todo.extend(reversed(it.body) if isinstance(it, ast.ExceptHandler) else (it,))

    def add_class(self, node: ast.ClassDef) -> None:
        made = self.classes.setdefault(node.name, Class(f"{self.key}:{node.name}", node, self))
        for item in node.body:
            if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
                made.methods[item.name] = Function(f"{made.key}.{item.name}", item, self, made, None)
            elif isinstance(item, ast.ClassDef) and item.name not in self.classes:
                self.add_class(item)


class Project:
    """All modules, and which of them a name means."""

    def __init__(self) -> None:
        self.modules: dict[str, Module] = {}
        self.ends: dict[str, list[Module]] = {}

    def add(self, module: Module) -> None:
        if module.key in self.modules:
            module.key += f"@{module.shown}"
        self.modules[module.key] = module
        for start in range(len(module.parts)):
            self.ends.setdefault(".".join(module.parts[start:]), []).append(module)

    def find(self, name: str, near: Module) -> Module | None:
        """The module that `name` means in an import of the module `near`; None when it is none of the project."""
        if not name or name.partition(".")[0] in LIBRARIES:
            return None
        best: Module | None = None
        score = -1
        for module in self.ends.get(name, ()):
            root = module.parts[: len(module.parts) - name.count(".") - 1]
            shared = common(root, near.parts)
            if module is not near and shared > score and (shared == len(root) or len(root) <= 2):
                best, score = module, shared
        return best

    def imported(self, node: ast.ImportFrom, near: Module) -> str:
        """The whole name of what `from ... import` imports from."""
        if not node.level:
            return node.module or ""
        up = node.level - (1 if near.package else 0)
        base = near.parts[: len(near.parts) - up] if up else near.parts
        return ".".join((*base, *([node.module] if node.module else ())))

    def function(self, ref: str) -> Function | None:
        """The function that has `ref` as its key."""
        name, _, inner = ref.partition(":")
        module = self.modules.get(name)
        return module.functions.get(inner) if module else None

    def class_of(self, ref: str) -> Class | None:
        name, _, inner = ref.partition(":")
        module = self.modules.get(name)
        return module.classes.get(inner) if module else None


def common(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    """How many parts both begin with."""
    count = 0
    for one, other in zip(first, second):
        if one != other:
            break
        count += 1
    return count


def dotted(node: ast.AST) -> str:
    """`a.b.c` as it is written; "" for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))
