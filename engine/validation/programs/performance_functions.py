"""What a Python function costs its callers: queries in loops, waiting in coroutines, recursion, caches that keep all.

Whether something is a query is told by the names of the common libraries (DB-API, Django, SQLAlchemy), what blocks by
the full name of the function that is called.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from engine.validation.programs.performance_loops import Fault
from engine.validation.programs.performance_scopes import COMPREHENSIONS, FORS, Loop, Scope, Source, dotted, root

BLOCKING = frozenset(
    [
        "os.system", "os.wait", "os.waitpid", "socket.create_connection", "socket.getaddrinfo", "socket.gethostbyname",
        "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.getoutput",
        "subprocess.run", "time.sleep", "urllib.request.urlopen", "urllib.request.urlretrieve",
    ]
)  # fmt: skip
CLIENTS = re.compile(r"(?:requests|httpx)\.(?:get|post|put|patch|delete|head|options|request)")
INSTEAD = {"time.sleep": "await asyncio.sleep", "subprocess.run": "asyncio.create_subprocess_exec"}

CURSORS = re.compile(r"(?i)(?:^|[._])(?:cur|curs|cursor|c|conn|connection|db|database|con)$")
SESSIONS = re.compile(r"(?i)(?:^|[._])(?:session|db)$")
READING = re.compile(r"\s*(?:select|with)\b", re.I)
WRITING = re.compile(r"\s*(?:insert|update|delete|replace)\b", re.I)
ONE_ROW = frozenset(["get", "filter", "filter_by", "first", "count", "exists"])
CACHES = frozenset(["functools.cache", "functools.lru_cache"])
REMOVING = frozenset(
    ["clear", "discard", "pop", "popitem", "popleft", "remove", "difference_update", "intersection_update"]
)
ADDING = frozenset(["add", "append", "extend", "setdefault", "insert"])
REGISTERING = re.compile(
    r"(?i)regist|plugin|handler|hook|add_|define|declare|install|alias|decorat|setup|init|load|import|populate|fill|build|collect"
)


def function_faults(source: Source) -> Iterator[Fault]:
    changed = outer_changes(source)
    for scope in source.scopes:
        node = scope.node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from kept_instances(node, scope, source)
            yield from branching(node, scope, source)
        for it in scope.nodes:
            if isinstance(it, ast.Call):
                if isinstance(node, ast.AsyncFunctionDef):
                    yield from blocking(it, scope, source)
                yield from lists_for_nothing(it, scope)
                if it in source.loops:
                    yield from queries(it, source.loops[it], source)
            elif isinstance(it, (*FORS, ast.comprehension)):
                yield from whole_files(it.iter)
    yield from growing(source, changed)


def blocking(call: ast.Call, scope: Scope, source: Source) -> Iterator[Fault]:
    called = source.called(call)
    first = called.partition(".")[0]
    if called not in BLOCKING and not CLIENTS.fullmatch(called):
        return
    if first not in {name.partition(".")[0] for name in source.imports.values()} or shadowed(call, scope, source):
        return
    if called == "time.sleep" and call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0:
        return
    better = INSTEAD.get(called, "the asynchronous form, or asyncio.to_thread")
    message = f"{called} makes all other coroutines wait: use {better}"
    yield Fault("blocking-in-async", "warning", message, call, "ASYNC251" if called == "time.sleep" else "ASYNC210")


def shadowed(call: ast.Call, scope: Scope, source: Source) -> bool:
    """The first name is not the import's but one of a function's own."""
    name = root(call.func)
    owner = source.owner(name, scope)
    if owner is None or owner is source.module:
        return False
    imports = [it for it in owner.nodes if isinstance(it, (ast.Import, ast.ImportFrom))]
    return not any(name in (it.asname, it.name.partition(".")[0]) for node in imports for it in node.names)


def lists_for_nothing(call: ast.Call, scope: Scope) -> Iterator[Fault]:
    if isinstance(call.func, ast.Name) and call.func.id in ("any", "all") and len(call.args) == 1:
        made = call.args[0]
        awaits = isinstance(made, ast.ListComp) and any(isinstance(it, ast.Await) for it in ast.walk(made))
        if isinstance(made, ast.ListComp) and not awaits:
            message = (
                f"{call.func.id} of a list makes all elements before it looks at the first: leave the brackets out"
            )
            yield Fault("list-before-any", "info", message, call, "C419")


def whole_files(iterated: ast.expr) -> Iterator[Fault]:
    method = iterated.func if isinstance(iterated, ast.Call) and not iterated.args else None
    if isinstance(method, ast.Attribute) and method.attr == "readlines":
        message = "the whole file is read before its first line is looked at: iterate over the file itself"
        yield Fault("whole-file-in-memory", "info", message, iterated, "FURB129")


def queries(call: ast.Call, loop: Loop, source: Source) -> Iterator[Fault]:
    """A query for each element of what a loop goes over."""
    around = next((it for it in loop.around() if not isinstance(it.node, ast.While)), None)
    if around is None or around is not loop or source.bounded(around) or source.once(call, around):
        return
    said = query(call)
    variables = loop_variables(around)
    given = {it.id for part in (*call.args, *call.keywords) for it in ast.walk(part) if isinstance(it, ast.Name)}
    if not said or not given & derived(variables, around, source):
        return
    if said == "writes":
        message = "one statement for each row: executemany sends them together"
        yield Fault("query-in-loop", "info", message, call)
    elif said == "reads":
        message = "one query for each element (N+1): ask for all of them in one query before the loop"
        yield Fault("query-in-loop", "warning", message, call)


def query(call: ast.Call) -> str:
    """`reads`, `writes`, or "" for what is no query."""
    if not isinstance(call.func, ast.Attribute):
        return ""
    method, receiver = call.func.attr, call.func.value
    name = dotted(receiver)
    if method == "execute" and call.args and (CURSORS.search(name) or SESSIONS.search(name)):
        text = written(call.args[0])
        return "reads" if READING.match(text) else "writes" if WRITING.match(text) else ""
    if method in ONE_ROW and name.endswith((".objects", ".query")) and name[:1].isupper():
        return "reads"
    if method in ("get", "scalar", "query") and SESSIONS.search(name) and name.rpartition(".")[2].lower() == "session":
        return "reads" if call.args and dotted(call.args[0])[:1].isupper() else ""
    if (
        method in ("filter", "filter_by")
        and isinstance(receiver, ast.Call)
        and isinstance(receiver.func, ast.Attribute)
    ):
        asks = receiver.func.attr == "query" and SESSIONS.search(dotted(receiver.func.value))
        return "reads" if asks else ""
    return ""


def written(node: ast.expr) -> str:
    """The beginning of a text that is written in place, also one with values in it."""
    while isinstance(node, (ast.BinOp, ast.Call, ast.Attribute)):
        if isinstance(node, ast.BinOp):
            node = node.left
        elif isinstance(node, ast.Call):
            node = node.args[0] if node.args and dotted(node.func).endswith("text") else node.func
        else:
            node = node.value
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def loop_variables(loop: Loop) -> set[str]:
    if isinstance(loop.node, FORS):
        targets = [loop.node.target]
    elif isinstance(loop.node, COMPREHENSIONS):
        targets = [it.target for it in loop.node.generators]
    else:
        targets = []
    return {it.id for target in targets for it in ast.walk(target) if isinstance(it, ast.Name)}


def derived(variables: set[str], loop: Loop, source: Source) -> set[str]:
    """The variables of the loop, and what the loop makes of them."""
    found = set(variables)
    for node in source.walk(loop.node):
        if isinstance(node, ast.Assign) and any(
            isinstance(it, ast.Name) and it.id in found for it in ast.walk(node.value)
        ):
            found.update(it.id for target in node.targets for it in ast.walk(target) if isinstance(it, ast.Name))
    return found


def kept_instances(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope, source: Source) -> Iterator[Fault]:
    """A cache without limit on a method keeps every object that the method was ever called on."""
    owner = source.scope_of[node].node
    arguments = [*node.args.args]
    if not isinstance(owner, ast.ClassDef) or not arguments or arguments[0].arg != "self":
        return
    decorators = [dotted(it.func if isinstance(it, ast.Call) else it) for it in node.decorator_list]
    if {"staticmethod", "classmethod"} & set(decorators) or any("Enum" in dotted(it) for it in owner.bases):
        return
    for decorator in node.decorator_list:
        call = isinstance(decorator, ast.Call)
        name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)
        first, dot, rest = name.partition(".")
        full = source.imports.get(first, first) + dot + rest
        if full not in CACHES:
            continue
        endless = full == "functools.cache" or (isinstance(decorator, ast.Call) and no_limit(decorator))
        if endless:
            message = (
                f"the cache of {node.name} keeps every object of {owner.name} for ever: use cached_property, or a limit"
            )
            yield Fault("method-cache-leak", "warning", message, decorator if call else node, "B019")


def no_limit(call: ast.Call) -> bool:
    given = [it.value for it in call.keywords if it.arg == "maxsize"] or call.args[:1]
    return any(isinstance(it, ast.Constant) and it.value is None for it in given)


def branching(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope, source: Source) -> Iterator[Fault]:
    """`f(n - 1) + f(n - 2)`: the same is computed again and again."""
    if node.decorator_list and any(
        "cache" in ast.dump(it).lower() or "memo" in ast.dump(it).lower() for it in node.decorator_list
    ):
        return
    parameters = {it.arg for it in node.args.args}
    for it in scope.nodes:
        if isinstance(it, ast.Subscript) and isinstance(it.ctx, ast.Store):
            return  # it may well remember what it has computed
    for statement in scope.nodes:
        if not isinstance(statement, (ast.Return, ast.Assign, ast.AugAssign)) or statement.value is None:
            continue
        calls = [it for it in ast.walk(statement.value) if self_call(it, node.name)]
        smaller = [it for it in calls if isinstance(it, ast.Call) and steps_down(it, parameters)]
        if len(smaller) >= 2 and len(smaller) == len(calls) and not exclusive(smaller, source):
            message = (
                f"{node.name} calls itself twice with a little less, which takes exponential time: remember results"
            )
            yield Fault("exponential-recursion", "warning", message, smaller[0])
            return


def self_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func) in (name, f"self.{name}")


def steps_down(call: ast.Call, parameters: set[str]) -> bool:
    """An argument is a parameter less a number."""
    return any(
        isinstance(it, ast.BinOp)
        and isinstance(it.op, ast.Sub)
        and isinstance(it.left, ast.Name)
        and it.left.id in parameters
        and isinstance(it.right, ast.Constant)
        and isinstance(it.right.value, int)
        for it in call.args
    )


def exclusive(calls: list[ast.Call], source: Source) -> bool:
    """Not all of the calls are made: they stand in the branches of a condition."""
    parents = [source.parents.get(it) for it in calls]
    return any(isinstance(it, (ast.IfExp, ast.BoolOp)) for it in parents)


def outer_changes(source: Source) -> dict[str, list[tuple[ast.AST, str]]]:
    """What functions do to the collections of the module, by name: `(node, "adds" or "removes")`."""
    found: dict[str, list[tuple[ast.AST, str]]] = {}
    module = source.module
    for scope in source.scopes:
        if scope is module:
            continue
        for node in scope.nodes:
            if not isinstance(node, (ast.Attribute, ast.Call, ast.Subscript, ast.Global)):
                continue
            name, what = change(node)
            if name and name in module.bindings and source.owner(name, scope) is module:
                found.setdefault(name, []).append((node, what))
            for it in getattr(node, "names", ()) if isinstance(node, ast.Global) else ():
                found.setdefault(it, []).append((node, "removes"))
    return found


def change(node: ast.AST) -> tuple[str, str]:
    if isinstance(node, ast.Attribute):  # called, or handed on to be called when something is over
        return (dotted(node.value), "removes") if node.attr in REMOVING else ("", "")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return (dotted(node.func.value), "adds") if node.func.attr in ADDING else ("", "")
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return dotted(node.value), "adds" if isinstance(node.ctx, ast.Store) else "removes"
    if isinstance(node, ast.Call) and dotted(node.func) == "len" and node.args:
        return dotted(node.args[0]), "removes"  # its length is watched
    return "", ""


def growing(source: Source, changed: dict[str, list[tuple[ast.AST, str]]]) -> Iterator[Fault]:
    """A collection of the module that functions put things into and nothing takes out of."""
    elsewhere = handed_on(source) if changed else set()
    for name, seen in sorted(changed.items()):
        adds = [node for node, what in seen if what == "adds"]
        values = source.module.bindings[name]
        if not adds or len(adds) < len(seen) or len(values) != 1 or not empty(values[0]) or REGISTERING.search(name):
            continue
        node = next((it for it in adds if per_call(it, source)), None)
        if node is not None and name not in elsewhere:
            message = f"{name} lives as long as the program, and nothing in this file takes out of it what is put in"
            yield Fault("growing-module-state", "info", message, node)


def empty(value: ast.expr | None) -> bool:
    """A collection with nothing in it."""
    if isinstance(value, ast.List):
        return not value.elts
    if isinstance(value, ast.Dict):
        return not value.keys
    if not isinstance(value, ast.Call):
        return False
    return dotted(value.func).rpartition(".")[2] in ("list", "dict", "set", "defaultdict", "OrderedDict") and len(
        value.args
    ) <= (1 if dotted(value.func).endswith("defaultdict") else 0)


def per_call(node: ast.AST, source: Source) -> bool:
    """What is put in depends on what the function is called with, and the function is no registration."""
    scope = source.scope_of[node]
    function = scope.node
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or REGISTERING.search(function.name):
        return False
    if any(isinstance(it, ast.Call) and dotted(it.func) == function.name for it in source.members(source.module)):
        return False  # it is part of what the module does when it is imported
    key = node.slice if isinstance(node, ast.Subscript) else None
    parts = [key] if key is not None else [*node.args] if isinstance(node, ast.Call) else []
    return any(isinstance(it, ast.Name) and it.id in scope.bindings for part in parts for it in ast.walk(part))


def handed_on(source: Source) -> set[str]:
    """Names of what other code may get hold of: it is an argument, returned, or bound to another name."""
    whole = (ast.Call, ast.Return, ast.keyword, ast.Assign, ast.Starred)
    return {
        node.id
        for scope in source.scopes
        for node in source.members(scope)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and isinstance(source.parents.get(node), whole)
    }
