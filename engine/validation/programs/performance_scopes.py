"""What is known of a Python file by its text: scopes, loops, what names are bound to, and how often a place is reached.

A *loop* is a `for`, a `while` or a comprehension; a place is *in* a loop when it is reached once a round, which the
iterable of a `for` is not. A loop is *bounded* when the file itself says how often it runs: over a literal, or a
`range` of a fixed number. Nothing is followed from one function into another.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Module)
FORS = (ast.For, ast.AsyncFor)

TEXT_METHODS = frozenset(["decode", "hexdigest", "isoformat"])
SAME_KIND = frozenset(["format", "join", "lower", "lstrip", "replace", "rstrip", "strip", "title", "upper", "zfill"])
LISTS = frozenset(["split", "rsplit", "splitlines", "readlines", "fetchall", "tolist"])
BUILTINS = {
    "bytearray": "bytearray",
    "bytes": "bytes",
    "dict": "dict",
    "frozenset": "set",
    "list": "list",
    "repr": "str",
    "set": "set",
    "sorted": "list",
    "str": "str",
    "tuple": "tuple",
}
ANNOTATIONS = {"List": "list", "Dict": "dict", "Set": "set", "Tuple": "tuple", **BUILTINS}
LITERALS = {
    ast.List: "list",
    ast.ListComp: "list",
    ast.Tuple: "tuple",
    ast.Dict: "dict",
    ast.DictComp: "dict",
    ast.Set: "set",
    ast.SetComp: "set",
    ast.JoinedStr: "str",
}
WRAPPERS = frozenset(["enumerate", "zip", "reversed", "sorted", "list", "tuple", "set", "iter"])
MAX_ROUNDS = 100
"""A loop that the file bounds by no more than this is no matter of growth."""


STEPS = 200_000
STEPS_PER_NODE = 100


class TooIntricateError(Exception):
    """Judging the file takes more work than its size is worth."""


class Loop:
    """A loop and the one around it in the same function."""

    def __init__(self, node: ast.AST, outer: Loop | None, scope: Scope) -> None:
        self.node = node
        self.outer = outer
        self.scope = scope
        self.changed: set[str] | None = None

    def around(self) -> Iterator[Loop]:
        """This loop and those around it, from the inside."""
        loop: Loop | None = self
        while loop is not None:
            yield loop
            loop = loop.outer


class Scope:
    """A function, class or module. bindings: what each name is bound to; None for what is not known.

    nodes: everything that belongs to it and not to a scope inside. elsewhere: names that belong to an outer scope.
    """

    def __init__(self, node: ast.AST, outer: Scope | None) -> None:
        self.node = node
        self.outer = outer
        self.nodes: list[ast.AST] = []
        self.bindings: defaultdict[str, list[ast.expr | None]] = defaultdict(list)
        self.annotations: dict[str, ast.expr] = {}
        self.elsewhere: set[str] = set()
        self.grown: set[str] | None = None


class Source:
    """A parsed file. loops: for each node the innermost loop that it is in. made: the loop that a node is."""

    def __init__(self, tree: ast.Module) -> None:
        self.parents: dict[ast.AST, ast.AST] = {}
        self.loops: dict[ast.AST, Loop] = {}
        self.made: dict[ast.AST, Loop] = {}
        self.scope_of: dict[ast.AST, Scope] = {}
        self.imports: dict[str, str] = {}
        self.module = Scope(tree, None)
        self.scopes = [self.module]
        self.steps = 0
        self.index(tree)
        self.steps = STEPS + STEPS_PER_NODE * len(self.scope_of)
        for scope in self.scopes:
            for node in scope.nodes:
                if type(node) in BINDING:
                    bind(node, scope)

    def spend(self, steps: int) -> None:
        """Count work.

        Raises:
          TooIntricateError: it is far more than a file of this size takes.
        """
        self.steps -= steps
        if self.steps < 0:
            raise TooIntricateError

    def walk(self, top: ast.AST) -> Iterator[ast.AST]:
        """`top` and all below."""
        for node in ast.walk(top):
            self.spend(1)
            yield node

    def members(self, scope: Scope) -> list[ast.AST]:
        """What belongs to a scope."""
        self.spend(len(scope.nodes))
        return scope.nodes

    def grows(self, name: str, scope: Scope) -> bool:
        """Something is put into `name` in this scope."""
        if scope.grown is None:
            scope.grown = {grown(node) for node in self.members(scope)}
        return name in scope.grown

    def index(self, tree: ast.Module) -> None:
        waiting: list[tuple[ast.AST, Scope, Loop | None]] = [(tree, self.module, None)]
        while waiting:
            node, scope, loop = waiting.pop()
            self.scope_of[node] = scope
            scope.nodes.append(node)
            if loop is not None:
                self.loops[node] = loop
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self.take_import(node)
            inner, repeated = self.inside(node, scope, loop)
            for name, child in fields(node):
                self.parents[child] = node
                within = inner if name in INNER.get(type(node), ()) else scope
                around = loop if within is scope else None
                first = isinstance(node, COMPREHENSIONS) and child is node.generators[0]
                if repeated is not None and name in REPEATED[type(node)] and not first:
                    around = repeated
                elif isinstance(node, ast.comprehension) and name == "ifs":
                    around = self.made[self.parents[node]]
                waiting.append((child, within, around))

    def inside(self, node: ast.AST, scope: Scope, loop: Loop | None) -> tuple[Scope, Loop | None]:
        """The scope that `node` opens, else its own, and the loop that it is."""
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            made = Scope(node, scope)
            self.scopes.append(made)
            return made, None
        if not isinstance(node, (*FORS, ast.While, *COMPREHENSIONS)):
            return scope, None
        self.made[node] = Loop(node, loop, scope)
        return scope, self.made[node]

    def take_import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                top = alias.name.partition(".")[0]
                self.imports[alias.asname or top] = alias.name if alias.asname else top
            elif node.module and not node.level:
                self.imports[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def called(self, node: ast.AST) -> str:
        """The full name of what a call calls, by the file's imports; "" when it is no plain name."""
        name = dotted(node.func) if isinstance(node, ast.Call) else ""
        first, dot, rest = name.partition(".")
        return self.imports.get(first, first) + dot + rest

    def owner(self, name: str, scope: Scope) -> Scope | None:
        """The function or module in which `name`, as written in `scope`, is bound."""
        here: Scope | None = scope
        while here is not None:
            seen = here is scope or not isinstance(here.node, ast.ClassDef)
            if seen and name in here.bindings and name not in here.elsewhere:
                return here
            here = here.outer
        return None

    def kind(self, node: ast.expr | None, scope: Scope, depth: int = 0) -> str:
        """The type of an expression: `str`, `list`, ...; "" when it is not known."""
        self.spend(1)
        if node is None or depth > 6:
            return ""
        if type(node) in LITERALS:
            return LITERALS[type(node)]
        if isinstance(node, ast.Constant):
            return type(node.value).__name__ if isinstance(node.value, (str, bytes)) else ""
        if isinstance(node, ast.Name):
            return self.kind_of_name(node.id, scope, depth + 1)
        if isinstance(node, ast.BinOp):
            left = self.kind(node.left, scope, depth + 1)
            if isinstance(node.op, ast.Mod):
                return left if left in ("str", "bytes") else ""
            return (left or self.kind(node.right, scope, depth + 1)) if isinstance(node.op, ast.Add) else ""
        return self.kind_of_call(node, scope, depth) if isinstance(node, ast.Call) else ""

    def kind_of_call(self, node: ast.Call, scope: Scope, depth: int) -> str:
        if isinstance(node.func, ast.Name):
            bound = self.owner(node.func.id, scope) is not None
            return "" if bound else BUILTINS.get(node.func.id, "")
        if isinstance(node.func, ast.Attribute):
            name = node.func.attr
            if name in SAME_KIND:
                kind = self.kind(node.func.value, scope, depth + 1)
                return kind if kind in ("str", "bytes") else ""
            return "str" if name in TEXT_METHODS else "list" if name in LISTS else ""
        return ""

    def kind_of_name(self, name: str, scope: Scope, depth: int = 0) -> str:
        owner = self.owner(name, scope)
        if owner is None:
            return ""
        annotation = owner.annotations.get(name)
        if isinstance(annotation, ast.Subscript):
            annotation = annotation.value
        if annotation is not None:
            return ANNOTATIONS.get(dotted(annotation).rpartition(".")[2], "")
        kinds = {self.kind(value, owner, depth) for value in owner.bindings[name] if not of_itself(value, name)}
        return kinds.pop() if len(kinds) == 1 else ""

    def bounded(self, loop: Loop) -> bool:
        """The file says how often the loop runs."""
        node = loop.node
        if isinstance(node, FORS):
            return self.few(node.iter, loop.scope)
        if isinstance(node, COMPREHENSIONS):
            return all(self.few(it.iter, loop.scope) for it in node.generators)
        return False

    def few(self, node: ast.expr, scope: Scope, depth: int = 0) -> bool:
        """The expression has a fixed, small number of elements."""
        self.spend(1)
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return len(node.elts) <= MAX_ROUNDS and not any(isinstance(it, ast.Starred) for it in node.elts)
        if isinstance(node, ast.Dict):
            return len(node.keys) <= MAX_ROUNDS and None not in node.keys
        if isinstance(node, ast.Constant):
            return not isinstance(node.value, (str, bytes)) or len(node.value) <= MAX_ROUNDS
        if isinstance(node, ast.Name) and depth < 5:
            owner = self.owner(node.id, scope)
            values = owner.bindings[node.id] if owner is not None else []
            if not values or owner is None or self.grows(node.id, owner):
                return False
            return all(it is not None and self.few(it, owner, depth + 1) for it in values)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split":
            return isinstance(node.func.value, ast.Constant)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
            return node.func.attr in ("items", "keys", "values") and self.few(node.func.value, scope, depth + 1)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args and depth < 5:
            if node.func.id == "range":
                return all(self.small(it, scope) for it in node.args)
            few = any if node.func.id == "zip" else all
            return node.func.id in WRAPPERS and few(self.few(it, scope, depth + 1) for it in node.args)
        return False

    def small(self, node: ast.expr, scope: Scope) -> bool:
        """A whole number that the file gives, and no more than `MAX_ROUNDS`."""
        if isinstance(node, ast.UnaryOp):
            return self.small(node.operand, scope)
        if isinstance(node, ast.Constant):
            return isinstance(node.value, int) and node.value <= MAX_ROUNDS
        if isinstance(node, ast.Name):
            owner = self.owner(node.id, scope)
            values = owner.bindings[node.id] if owner is not None else []
            return bool(values) and all(isinstance(it, ast.Constant) and self.small(it, scope) for it in values)
        return False

    def once(self, node: ast.AST, loop: Loop) -> bool:
        """When `node` has been reached, the loop is left: what it does is not done again."""
        here = node
        while here is not loop.node and here in self.parents:
            parent = self.parents[here]
            inner = self.loops.get(here)
            for block in self.blocks(parent):
                after = block[block.index(here) + 1 :] if here in block else ()
                leaving = (ast.Return, ast.Raise, ast.Break) if inner is loop else (ast.Return, ast.Raise)
                ends = [it for it in after if isinstance(it, (*leaving, ast.Continue))]
                if ends:
                    return isinstance(ends[0], leaving)
            if isinstance(here, (ast.Return, ast.Raise)):
                return True
            here = parent
        return False

    def unconditional(self, node: ast.AST, loop: Loop) -> bool:
        """`node` is reached in every round of `loop`, and in every round of loops between."""
        here = node
        while here is not loop.node and here in self.parents:
            parent = self.parents[here]
            if isinstance(parent, ast.If) and here is not parent.test:
                return False
            if isinstance(parent, ast.IfExp) and here is not parent.test:
                return False
            if isinstance(parent, ast.BoolOp) and here is not parent.values[0]:
                return False
            if isinstance(parent, (ast.Try, ast.ExceptHandler)) and here not in getattr(parent, "body", ()):
                return False
            if isinstance(parent, (ast.ExceptHandler, ast.Raise, ast.Assert)) or isinstance(here, SCOPES):
                return False
            if any(here in block and self.skips(block[: block.index(here)]) for block in self.blocks(parent)):
                return False
            here = parent
        return True

    def blocks(self, node: ast.AST) -> Iterator[list[ast.AST]]:
        """The statements of each branch of a node."""
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                self.spend(1 + len(block) // 10)
                yield block

    def skips(self, before: list[ast.AST]) -> bool:
        """One of these statements may leave the round, so that what follows is not always reached."""
        return any(isinstance(it, (ast.Continue, ast.Break)) for top in before for it in self.walk(top))

    def changed(self, loop: Loop) -> set[str]:
        """Names that may stand for something else, or for something changed, from round to round."""
        if loop.changed is None:
            loop.changed = set()
            waiting: list[ast.AST] = [loop.node]
            while waiting:
                node = waiting.pop()
                loop.changed.update(changes(node))
                waiting.extend(ast.iter_child_nodes(node))
        return loop.changed


INNER = {
    ast.FunctionDef: ("body", "args"),
    ast.AsyncFunctionDef: ("body", "args"),
    ast.Lambda: ("body", "args"),
    ast.ClassDef: ("body",),
}
"""The fields of a node that are in the scope it opens; defaults of parameters are taken to be."""

REPEATED: dict[type[ast.AST], tuple[str, ...]] = {
    ast.For: ("body",),
    ast.AsyncFor: ("body",),
    ast.While: ("body", "test"),
    **dict.fromkeys(COMPREHENSIONS, ("elt", "key", "value", "generators")),
}
"""The fields of a loop that are reached once a round; of the first `for` of a comprehension only its `if`."""


def fields(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What a node consists of, without operators and the like, which are no places."""
    for name in node._fields:
        value = None if name in ("ctx", "op", "ops") else getattr(node, name, None)
        if isinstance(value, list):
            for child in value:
                if isinstance(child, ast.AST):
                    yield name, child
        elif isinstance(value, ast.AST):
            yield name, value


def dotted(node: ast.AST) -> str:
    """`a.b.c` as it is written; "" for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


BINDING = frozenset(
    [
        ast.arg, ast.Assign, ast.AnnAssign, ast.AsyncFor, ast.AsyncFunctionDef, ast.AugAssign, ast.ClassDef,
        ast.comprehension, ast.ExceptHandler, ast.For, ast.FunctionDef, ast.Global, ast.Import, ast.ImportFrom,
        ast.NamedExpr, ast.Nonlocal, ast.withitem,
    ]
)  # fmt: skip


def bind(node: ast.AST, scope: Scope) -> None:
    """Enter what a node binds into its scope."""
    if isinstance(node, ast.arg):
        scope.bindings[node.arg].append(None)
        if node.annotation is not None:
            scope.annotations[node.arg] = node.annotation
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            for it in names(target):
                scope.bindings[it].append(node.value if isinstance(target, ast.Name) else None)
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        scope.bindings[node.target.id].append(node.value)
        scope.annotations[node.target.id] = node.annotation
    elif isinstance(node, ast.NamedExpr):
        scope.bindings[node.target.id].append(node.value)
    elif isinstance(node, (*FORS, ast.comprehension)):
        for it in names(node.target):
            scope.bindings[it].append(None)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        for it in names(node.optional_vars):
            scope.bindings[it].append(None)
    elif isinstance(node, (ast.Global, ast.Nonlocal)):
        scope.elsewhere.update(node.names)
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            scope.bindings[alias.asname or alias.name.partition(".")[0]].append(None)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler)) and node.name:
        scope.bindings[node.name].append(None)
    elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        scope.bindings.setdefault(node.target.id, [])


def grown(node: ast.AST) -> str:
    """The name of what `node` puts something into, "" when it does no such thing."""
    if isinstance(node, ast.AugAssign):
        return node.target.id if isinstance(node.target, ast.Name) else ""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in GROWING:
        return dotted(node.func.value)
    return dotted(node.value) if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) else ""


def names(target: ast.AST) -> list[str]:
    """The names that an assignment to `target` binds."""
    return [it.id for it in ast.walk(target) if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store)]


def of_itself(value: ast.expr | None, name: str) -> bool:
    """`name + ...`: says nothing new of what `name` is."""
    return isinstance(value, ast.BinOp) and isinstance(value.left, ast.Name) and value.left.id == name


def changes(node: ast.AST) -> Iterator[str]:
    """Names that a node binds, or whose value it may change: by a method, an item, or as an argument of a call."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
        yield node.id
    elif isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
        yield root(node)
    elif isinstance(node, (ast.Global, ast.Nonlocal)):
        yield from node.names
    elif isinstance(node, ast.AugAssign):
        yield root(node.target)
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            yield root(node.func)
        harmless = isinstance(node.func, ast.Name) and node.func.id in HARMLESS
        for argument in () if harmless else (*node.args, *(it.value for it in node.keywords)):
            yield root(argument.value if isinstance(argument, ast.Starred) else argument)


GROWING = frozenset(["add", "append", "appendleft", "extend", "insert", "setdefault", "update"])

HARMLESS = frozenset(
    [
        "all", "any", "bool", "dict", "enumerate", "float", "frozenset", "hash", "id", "int", "isinstance", "len",
        "list", "max", "min", "print", "range", "repr", "reversed", "round", "set", "sorted", "str", "sum", "tuple",
        "type", "zip",
    ]
)  # fmt: skip
"""Functions that leave their arguments as they are."""


def root(node: ast.AST) -> str:
    """The name that an attribute, item or call is reached by; "" when there is none."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
