"""A taint analysis of Python projects: follows foreign values to where they do harm, within and across functions.

Each function is run once on what is known of its parameters, which gives a *summary* (which parameters reach which
sinks, which come back in the result, which are validated). Callers use the summary; when it changes, they are run again
until nothing changes or a bound is hit, which is noted. Nothing of the project is imported or executed.
"""

from __future__ import annotations

import ast
from collections import deque
from typing import Any, Tuple

from engine.validation.programs import taint_calls, taint_checks, taint_guards, taint_statements, taint_views
from engine.validation.programs.taint_expressions import CONSTANT_FIELDS, WRITTEN_LARGE
from engine.validation.programs.taint_expressions import source as source_at
from engine.validation.programs.taint_frame import Env, Frame, Guards
from engine.validation.programs.taint_harms import Harm, harm_of, worse
from engine.validation.programs.taint_modules import Class, Function, Hit, Module, Project
from engine.validation.programs.taint_rules import COMMAND, PATH, SQL, XSS
from engine.validation.programs.taint_values import (
    CONSTANT,
    NUMBER,
    UNKNOWN,
    Label,
    Trace,
    Value,
    join,
    named,
)

MAX_ROUNDS = 8
MAX_DEPTH = 24
MAX_HITS = 60
MAX_STEPS = 40_000_000

COMMON_METHODS = frozenset(
    [
        "execute",
        "query",
        "update",
        "delete",
        "insert",
        "select",
        "filter",
        "create",
        "remove",
        "connect",
        "close",
        "append",
        "extend",
        "format",
        "commit",
        "write",
        "read_all",
        "render",
        "handle",
        "process",
        "validate",
        "clean",
        "parse",
        "encode",
        "decode",
        "start",
        "fetch",
        "search",
        "match",
        "strip",
        "replace",
        "split",
        "lower",
        "upper",
        "encode",
        "items",
        "values",
        "index",
        "count",
    ]
)
"""Methods of so many things that their name alone says nothing."""

Key = Tuple[str, str, int, int]


class Analysis:
    """The analysis of one project; `run` gives what was found."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.steps = 0
        self.depth = 0
        self.cut: set[str] = set()
        self.found: dict[str, dict[Key, Harm]] = {}
        self.dependents: dict[str, set[str]] = {}
        self.bodies: dict[str, Any] = {}
        self.queue: deque[str] = deque()
        self.inner: dict[str, Function] = {}
        self.patterns: dict[str, str] = {}
        self.routes: dict[str, str] = {}
        self.called: set[str] = set()
        self.varied: set[tuple[str, int]] = set()
        self.methods: dict[str, list[Function]] = {}

    def run(self) -> list[Harm]:
        """Everything that was found, in no order."""
        for module in self.project.modules.values():
            if any(name in module.imports for name in ("django",)):
                self.routes.update(taint_views.routes_in(module))
            for made in module.classes.values():
                for function in made.methods.values():
                    self.methods.setdefault(function.name, []).append(function)
        for module in self.project.modules.values():
            self.module_env(module)
            for function in functions_of(module):
                if function.rounds == 0:
                    self.analyse(function)
        while self.queue and self.steps < MAX_STEPS:
            waiting = self.bodies.get(self.queue.popleft())
            if isinstance(waiting, Function):
                if waiting.rounds < MAX_ROUNDS:
                    self.analyse(waiting)
                else:
                    self.cut.add(waiting.module.shown)
        if self.steps >= MAX_STEPS:
            self.cut.add("*")
        return self.harms()

    def harms(self) -> list[Harm]:
        best: dict[Key, Harm] = {}
        for harms in self.found.values():
            for key, harm in harms.items():
                if harm.owner and self.only_constants(harm.owner, harm.index):
                    continue
                known = best.get(key)
                best[key] = harm if known is None else worse(known, harm)
        return list(best.values())

    def only_constants(self, key: str, index: int) -> bool:
        """A function that only the project can call is only ever given constants."""
        function = self.bodies.get(key)
        private = function is not None and (function.name.startswith("_") or "/" in key)
        return bool(private) and key in self.called and (key, index) not in self.varied

    # Bodies

    def module_env(self, module: Module) -> Env:
        """The variables of a module after its body has run."""
        if module.env is None:
            module.env = Env()
            for name, function in module.functions.items():
                module.env.set(name, named(function.key))
            for name, made in module.classes.items():
                module.env.set(name, named(made.key))
            frame = Frame(self, module, None, module.env, f"{module.key}:")
            self.within_bounds(frame, module.tree.body)
        return module.env  # type: ignore[no-any-return]

    def analyse(self, function: Function) -> None:
        """Run a function on what is known of its parameters, and note whether callers must be run again."""
        if function.running:
            return
        function.running = True
        function.rounds += 1
        self.bodies[function.key] = function
        before = function.summary.shape()
        outer = function.closure if function.closure is not None else self.module_env(function.module)
        frame = Frame(self, function.module, function, Env(outer), function.key)
        frame.env.subpaths = {}
        taint_views.enter(frame, function)
        body: Any = function.node.body
        self.within_bounds(frame, body if isinstance(body, list) else [ast.Return(value=body, lineno=body.lineno)])
        self.summarise(frame, function)
        function.running = False
        if function.summary.shape() != before:
            self.again(function.key)

    def within_bounds(self, frame: Frame, body: list[ast.stmt]) -> None:
        self.found[frame.key] = {}
        self.depth += 1
        try:
            if not taint_statements.run(frame, body) and frame.function is not None:
                taint_statements.leave(frame, None)
        except RecursionError:
            self.cut.add(frame.module.shown)
        for function in frame.inner:
            if function.rounds < MAX_ROUNDS and self.depth < MAX_DEPTH:
                self.analyse(function)
        self.depth -= 1

    def summarise(self, frame: Frame, function: Function) -> None:
        summary = function.summary
        result = taint_statements.results(frame.results)
        if result is not None and "property" in str(getattr(function.node, "decorator_list", "")):
            result = Value(result.labels, result.built, result.text, result.ref)
        summary.result = result
        exits = [known for known, _ in frame.exits]
        summary.validates = common_groups(exits)
        summary.guards = common_groups([shown for _, shown in frame.exits if shown is not None])

    def summary(self, function: Function, frame: Frame) -> Any:
        """The summary as far as it is known; `frame` is run again when it changes."""
        self.dependents.setdefault(function.key, set()).add(frame.key)
        if function.rounds == 0 and self.depth < MAX_DEPTH:
            self.analyse(function)
        elif function.rounds == 0:
            self.bodies[function.key] = function
            self.queue.append(function.key)
        return function.summary

    def again(self, key: str) -> None:
        for dependent in sorted(self.dependents.get(key, ())):
            if dependent in self.bodies and dependent not in self.queue:
                self.queue.append(dependent)

    # What names mean

    def imported(self, frame: Frame, whole: str, name: str) -> Value:
        """What `from whole import name` gives."""
        inner = self.project.find(f"{whole}.{name}" if whole else name, frame.module)
        module = self.project.find(whole, frame.module)
        if module is not None:
            found = self.member(module, name)
            if found is not None:
                return found
        if inner is not None:
            return named(f"{inner.key}:")
        if module is not None and not module.package:
            return UNKNOWN
        return named(f"{whole}.{name}")

    def member(self, module: Module, name: str) -> Value | None:
        if name in module.functions:
            return named(module.functions[name].key)
        if name in module.classes:
            return named(module.classes[name].key)
        found: Value | None = self.module_env(module).get(name)
        return found

    def attribute(self, frame: Frame, ref: str, attr: str) -> Value | None:
        """`ref.attr` where `ref` is of the project; None when it is not."""
        if ref.endswith(":"):
            module = self.project.modules.get(ref[:-1])
            found = self.member(module, attr) if module else None
            inner = self.project.find(f"{ref[:-1]}.{attr}", frame.module) if found is None else None
            return found if found is not None else named(f"{inner.key}:") if inner else UNKNOWN
        if ":" in ref:
            instance = ref.endswith("()")
            made = self.project.class_of(ref[:-2] if instance else ref)
            return self.of_class(frame, made, ref, attr) if made else None
        if "()" not in ref and not ref.startswith("@"):
            module = self.project.find(ref, frame.module)
            return self.member(module, attr) if module else None
        return None

    def of_class(self, frame: Frame, made: Class, ref: str, attr: str) -> Value | None:
        self.dependents.setdefault(f"field:{made.key}", set()).add(frame.key)
        if attr == "request":
            return named("@request")
        for one in self.lineage(made):
            method = one.methods.get(attr)
            if method is not None:
                if any("property" in ast.dump(it) for it in getattr(method.node, "decorator_list", ())):
                    return taint_calls.substituted(
                        self.summary(method, frame).result or CONSTANT, method, {0: named(ref)}
                    )
                return named(f"{ref}.{attr}")
            if attr in one.fields:
                return one.fields[attr]
        if attr in ("kwargs", "args", "path_kwargs") and any(
            base.endswith(("View", "ViewSet", "Handler")) for one in self.lineage(made) for base in one.bases
        ):
            return source_at(frame, frame.function.node if frame.function else frame.module.tree.body[0], "source")
        if attr in CONSTANT_FIELDS or WRITTEN_LARGE.match(attr):
            return CONSTANT
        if self.is_enum(made):
            return CONSTANT
        return Value(UNKNOWN.labels, False, None, f"{ref}.{attr}"[:150])

    def lineage(self, made: Class) -> list[Class]:
        """The class and those of the project that it comes from, nearest first."""
        out: list[Class] = []
        todo = [made]
        while todo and len(out) < 12:
            one = todo.pop(0)
            if one in out:
                continue
            out.append(one)
            env = self.module_env(one.module)
            for base in one.bases:
                first, _, rest = base.partition(".")
                value = env.get(first)
                ref = value.ref if value is not None else ""
                if rest and ref.endswith(":"):
                    ref += rest
                found = self.project.class_of(ref) if ":" in ref else None
                if found is not None:
                    todo.append(found)
        return out

    def is_enum(self, made: Class) -> bool:
        return any(
            base.endswith(("Enum", "IntFlag", "TextChoices", "Choices"))
            for it in self.lineage(made)
            for base in it.bases
        )

    def method(self, made: Class, name: str) -> Function | None:
        return next((it.methods[name] for it in self.lineage(made) if name in it.methods), None)

    def keep_field(self, made: Class, name: str, value: Value) -> None:
        """A method gives `value` to a field; methods that read fields are run again when that is news."""
        known = made.fields.get(name)
        value = Value(value.labels, value.built, value.text, value.ref, value.fields)
        new = value if known is None else join(known, value)
        made.fields[name] = new
        if known is None or set(new.labels) != set(known.labels) or new.ref != known.ref:
            self.again(f"field:{made.key}")

    def functions(self, frame: Frame, ref: str, receiver: Value, attr: str) -> list[tuple[Function, bool]]:
        """The functions of the project that a call may mean, and whether its receiver is their first argument."""
        if ref in self.inner:
            return [(self.inner[ref], False)]
        if ":" in ref:
            function = self.project.function(ref)
            if function is not None:
                return [(function, False)]
            owner, _, name = ref.rpartition(".")
            made = self.project.class_of(owner[:-2] if owner.endswith("()") else owner)
            found = self.method(made, name) if made else None
            if found is not None:
                plain = not owner.endswith("()") and "classmethod" not in decorators(found)
                return [(found, found.bound and not plain)]
            return []
        if ref.startswith("super()") and frame.owner is not None:
            for one in self.lineage(frame.owner)[1:]:
                if attr in one.methods:
                    return [(one.methods[attr], True)]
        if attr and not ref and len(attr) > 4 and attr not in COMMON_METHODS:
            alike = self.methods.get(attr, [])
            if len(alike) == 1 and not attr.startswith("__") and not receiver.ref:
                return [(alike[0], alike[0].bound)]
        return []

    def note_call(self, function: Function, given: dict[int, Value]) -> None:
        self.called.add(function.key)
        for index, value in given.items():
            if not value.constant:
                self.varied.add((function.key, index))

    # What the other modules use by way of a frame

    def guards(self, frame: Frame, test: ast.AST) -> tuple[Guards, Guards]:
        return taint_guards.guards(frame, test)

    def below(self, frame: Frame, node: ast.expr) -> Guards:
        return taint_guards.below(frame, [node], node)

    def assign(self, frame: Frame, target: ast.AST, value: Value) -> None:
        taint_statements.assign(frame, target, value)

    # Harm

    def reached(self, frame: Frame, node: Any, group: str, name: str, value: Value, marked: bool = False) -> None:
        """A value reaches a sink in the body at hand."""
        self.judge(frame, Hit(group, frame.module.shown, node, name, value.built, marked), value, True)

    def carried(self, frame: Frame, node: Any, function: Function, hit: Hit, value: Value) -> None:
        """A value reaches a sink by way of a function that is called. Text that the caller has put together is the
        caller's fault, and is reported there."""
        here = value.built and not hit.built and hit.group in (SQL, COMMAND)
        place = Hit(hit.group, hit.file, node, hit.name, hit.built, hit.marked)
        if here:
            place.file, place.built = frame.module.shown, True
        else:
            place.line, place.column, place.end_line = hit.line, hit.column, hit.end_line
        via = hit.via if function.name in hit.via else (function.name, *hit.via)
        place.via = via[:5]
        self.judge(frame, place, value, here)

    def judge(self, frame: Frame, hit: Hit, value: Value, new: bool) -> None:
        """Report, or keep for callers. new: nobody has yet said what a value of unknown origin does here."""
        for label, trace in value.labels.items():
            if trace.harmless(hit.group):
                continue
            harm = harm_of(hit, label, trace, value, new)
            if harm is not None:
                key = (hit.file, hit.group, hit.line, hit.column)
                found = self.found.setdefault(frame.key, {})
                known = found.get(key)
                found[key] = harm if known is None else worse(known, harm)
            if label.kind == "param":
                self.keep_hit(label, hit, trace, value)

    def keep_hit(self, label: Label, hit: Hit, trace: Trace, value: Value) -> None:
        function = self.bodies.get(label.owner)
        if function is None or harm_of(hit, Label("source", ""), trace, value, True) is None:
            return
        hits = function.summary.sinks.setdefault(label.index, {})
        if hit.key not in hits and len(hits) < MAX_HITS:
            hits[hit.key] = hit
            if not function.running:
                self.again(function.key)

    def archive(self, frame: Frame, node: Any, name: str, receiver: Value) -> None:
        hit = Hit(PATH, frame.module.shown, node, name, False, True)
        known = any(label.kind == "source" for label in receiver.labels)
        label = Label("archive", "members of the archive")
        harm = harm_of(hit, label, Trace(), receiver, True, "error" if known else "warning")
        if harm is not None:
            self.found.setdefault(frame.key, {})[(hit.file, hit.group, hit.line, hit.column)] = harm

    def shown_by_view(self, frame: Frame, node: ast.Return, value: Value) -> None:
        """What a view of Flask or Bottle returns is HTML, unless it is no text or says otherwise."""
        if frame.view != "flask" or not frame.module.imports & {"flask", "bottle", "quart"}:
            return
        if isinstance(node.value, ast.Tuple) and value.fields:
            value = value.fields.get("0", CONSTANT)
        if value.ref.startswith(("{}", "[]", "@request.json", "@request.get_json")) and not value.built:
            return
        shown = any(label.kind == "source" for label in value.labels)
        if shown and not taint_checks.says_plain(frame):
            self.reached(frame, node, XSS, "the page that is returned", value)


def functions_of(module: Module) -> list[Function]:
    found = list(module.functions.values())
    for made in module.classes.values():
        found.extend(made.methods.values())
    return found


def decorators(function: Function) -> set[str]:
    return {getattr(it, "id", "") for it in getattr(function.node, "decorator_list", ())}


def common_groups(exits: list[dict[int, frozenset[str]]]) -> dict[int, frozenset[str]]:
    """What holds wherever the function ends."""
    if not exits:
        return {}
    out = {}
    for index, groups in exits[0].items():
        shared = groups
        for other in exits[1:]:
            found = other.get(index, frozenset())
            shared = shared if "*" in found else found if "*" in shared else shared & found
        if shared - {NUMBER}:
            out[index] = shared
    return out
