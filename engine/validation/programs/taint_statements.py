"""Running statements on what is known of values: assignments, branches, loops, exceptions, what a function returns.

`run` tells whether the end of a body is reached at all: after `if name not in ALLOWED: abort(404)` only the other
branch goes on.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from engine.validation.programs import taint_functions
from engine.validation.programs.taint_frame import Env, Frame, path_of
from engine.validation.programs.taint_modules import Function, dotted
from engine.validation.programs.taint_values import (
    ALL,
    CONSTANT,
    MAX_FIELDS,
    UNKNOWN,
    Value,
    collection,
    concat,
    element,
    join,
    merged,
    named,
    safe_for,
)

MAX_LOOPS = 3
"""Bodies of loops are run twice, so that what one turn leaves is seen by the next; deeper than this, once."""


def run(frame: Frame, body: Sequence[ast.stmt]) -> bool:
    """Run statements in order; True when what comes after them is not reached."""
    for index, node in enumerate(body):
        if statement(frame, node):
            for rest in body[index + 1 :]:
                if isinstance(rest, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    statement(frame, rest)
            return True
    return False


def statement(frame: Frame, node: Any) -> bool:
    handler = HANDLERS.get(type(node).__name__)
    frame.analysis.steps += 1
    return bool(handler(frame, node)) if handler else False


def assign(frame: Frame, target: ast.AST, value: Value) -> None:
    """Give `value` to what is written on the left of an assignment."""
    if isinstance(target, (ast.Tuple, ast.List)):
        for place, part in enumerate(target.elts):
            inner = part.value if isinstance(part, ast.Starred) else part
            one = (value.fields or {}).get(str(place))
            assign(frame, inner, one if one is not None else element(value))
        return
    if isinstance(target, ast.Starred):
        assign(frame, target.value, value)
        return
    path = path_of(target)
    if path:
        frame.env.set(path, value)
        frame.conditions.pop(path, None)
    if isinstance(target, ast.Attribute):
        if isinstance(target.value, ast.Name) and target.value.id in ("self", "cls") and frame.owner is not None:
            frame.analysis.keep_field(frame.owner, target.attr, value)
    elif isinstance(target, ast.Subscript):
        stored(frame, target, value, path)


def stored(frame: Frame, target: ast.Subscript, value: Value, path: str) -> None:
    """`a[k] = value`: `a` holds it too."""
    whole = path_of(target.value)
    if not whole:
        return
    base = frame.evaluate(target.value)
    key = CONSTANT if path else frame.evaluate(target.slice)
    if value.labels or key.labels or base.fields:
        fields = None
        if path and base.fields is not None and len(base.fields) < MAX_FIELDS:
            fields = {**base.fields, path[len(whole) + 2 : -2]: value}
        labels = merged((base.labels, value.labels, key.labels))
        frame.env.put(whole, Value(labels, base.built or value.built, None, base.ref, fields))
    if path:
        frame.env.set(path, value)


def on_assign(frame: Frame, node: ast.Assign) -> None:
    value = frame.evaluate(node.value)
    for target in node.targets:
        assign(frame, target, value)
        if isinstance(target, ast.Name):
            remember(frame, target.id, node.value)


def remember(frame: Frame, name: str, node: ast.expr) -> None:
    """A test whose result is kept in a variable, and a compiled pattern."""
    if isinstance(node, (ast.Compare, ast.BoolOp, ast.Call, ast.UnaryOp)):
        if isinstance(node, ast.Call) and dotted(node.func) == "re.compile" and node.args:
            literal = frame.evaluate(node.args[0]).literal
            if literal is not None:
                frame.analysis.patterns[name] = literal
            return
        when_true, when_false = frame.analysis.guards(frame, node)
        if when_true or when_false:
            frame.conditions[name] = (when_true, when_false)


def on_annotated(frame: Frame, node: ast.AnnAssign) -> None:
    if node.value is not None:
        assign(frame, node.target, frame.evaluate(node.value))


def on_augmented(frame: Frame, node: ast.AugAssign) -> None:
    before, value = frame.evaluate(node.target), frame.evaluate(node.value)
    if isinstance(node.op, ast.Add):
        made = collection([before, value]) if before.ref == "[]" or value.ref == "[]" else concat([before, value])
        if "Markup()" in before.ref:
            made = Value(before.labels, before.built, None, before.ref)
    else:
        made = Value(merged((before.labels, value.labels)), before.built or isinstance(node.op, ast.Mod), before.text)
    assign(frame, node.target, made)


def on_expression(frame: Frame, node: ast.Expr) -> bool:
    frame.evaluate(node.value)
    if isinstance(node.value, ast.Call):
        name = dotted(node.value.func)
        if name in taint_functions.ENDS or frame.evaluate(node.value.func).ref in taint_functions.ENDS:
            return True
        if isinstance(node.value.func, ast.Attribute) and node.value.func.attr == "relative_to":
            frame.narrow(frame.analysis.below(frame, node.value.func.value))
    return False


def on_return(frame: Frame, node: ast.Return) -> bool:
    value = frame.evaluate(node.value)
    frame.results.append(value)
    leave(frame, node.value)
    if frame.view and node.value is not None:
        frame.analysis.shown_by_view(frame, node, value)
    return True


def leave(frame: Frame, result: ast.expr | None) -> None:
    """Note what is known of the parameters where the function ends."""
    if frame.function is None:
        return
    known = validated(frame)
    when_true: dict[int, frozenset[str]] | None = None
    if isinstance(result, ast.Constant) or result is None:
        when_true = dict(known) if result is not None and result.value else None
    else:
        outer = frame.env
        frame.env = Env(outer)
        frame.narrow(frame.analysis.guards(frame, result)[0])
        when_true = validated(frame)
        frame.env = outer
    frame.exits.append((known, when_true))


def validated(frame: Frame) -> dict[int, frozenset[str]]:
    """What the parameters, if they still are what was given, are harmless for here."""
    out: dict[int, frozenset[str]] = {}
    function = frame.function
    for index, name in enumerate(function.parameters if function else ()):
        value = frame.env.get(name)
        if value is not None and function is not None:
            trace = value.labels.get(function.label(index))
            groups = trace.safe - {"#number"} if trace else None
            if groups:
                out[index] = groups
    return out


def on_if(frame: Frame, node: ast.If) -> bool:
    frame.evaluate(node.test)
    when_true, when_false = frame.analysis.guards(frame, node.test)
    outer = frame.env
    frame.env = first = Env(outer)
    frame.narrow(when_true)
    first_ends = run(frame, node.body)
    frame.env = second = Env(outer)
    frame.narrow(when_false)
    second_ends = run(frame, node.orelse)
    frame.env = outer
    reached = [env for env, ends in ((first, first_ends), (second, second_ends)) if not ends]
    outer.merge(reached)
    return not reached


def turns(frame: Frame, node: Any, before: Any) -> None:
    """The body of a loop, none or more times."""
    frame.loops += 1
    outer = frame.env
    for _ in range(2 if frame.loops <= MAX_LOOPS else 1):
        frame.env = body = Env(outer)
        before()
        run(frame, node.body)
        frame.env = outer
        outer.merge([body, Env(outer)])
    frame.loops -= 1
    run(frame, node.orelse)


def on_for(frame: Frame, node: Any) -> None:
    items = frame.evaluate(node.iter)
    turns(frame, node, lambda: assign(frame, node.target, element(items)))


def on_while(frame: Frame, node: ast.While) -> bool:
    def before() -> None:
        frame.evaluate(node.test)
        frame.narrow(frame.analysis.guards(frame, node.test)[0])

    turns(frame, node, before)
    frame.narrow(frame.analysis.guards(frame, node.test)[1])
    return False


def on_try(frame: Frame, node: Any) -> bool:
    outer = frame.env
    frame.env = body = Env(outer)
    ends = run(frame, node.body)
    if not ends:
        ends = run(frame, node.orelse)
    reached = [] if ends else [body]
    for handler in node.handlers:
        frame.env = start = Env(outer)
        start.merge([body, Env(outer)])
        if handler.name:
            start.set(handler.name, UNKNOWN)
        if not run(frame, handler.body):
            reached.append(start)
    frame.env = outer
    if reached:
        outer.merge(reached)
    return run(frame, node.finalbody) or not reached


def on_with(frame: Frame, node: Any) -> bool:
    for item in node.items:
        value = frame.evaluate(item.context_expr)
        if item.optional_vars is not None:
            assign(frame, item.optional_vars, value)
    return run(frame, node.body)


def on_match(frame: Frame, node: Any) -> bool:
    """Names that a pattern takes get the subject's origins; a constant pattern says what the subject is."""
    subject = frame.evaluate(node.subject)
    outer = frame.env
    reached = []
    complete = False
    for case in node.cases:
        frame.env = branch = Env(outer)
        path = path_of(node.subject)
        if path and type(case.pattern).__name__ in ("MatchValue", "MatchSingleton", "MatchOr"):
            branch.set(path, safe_for(subject, frozenset((ALL,)), same=True))
        for part in ast.walk(case.pattern):
            taken = getattr(part, "name", None) or getattr(part, "rest", None)
            if isinstance(taken, str):
                branch.set(taken, Value(subject.labels, subject.built, subject.text if part is case.pattern else None))
        frame.evaluate(case.guard)
        plain = type(case.pattern).__name__ == "MatchAs" and case.pattern.pattern is None and case.guard is None
        complete = complete or plain
        if not run(frame, case.body):
            reached.append(branch)
    frame.env = outer
    if not complete:
        reached.append(Env(outer))
    outer.merge(reached)
    return not reached


def on_function(frame: Frame, node: Any) -> None:
    for decorator in node.decorator_list:
        frame.evaluate(decorator)
    if frame.function is None and node.name in frame.module.functions and frame.owner is None:
        frame.env.set(node.name, named(frame.module.functions[node.name].key))
        return
    function = Function(f"{frame.key}/{node.name}@{node.lineno}", node, frame.module, None, frame.env)
    frame.env.set(node.name, frame.define(function))


def on_class(frame: Frame, node: ast.ClassDef) -> None:
    made = frame.module.classes.get(node.name)
    if made is None:
        return
    frame.env.set(node.name, named(made.key))
    outer = frame.env
    frame.env = inner = Env(outer)
    for item in node.body:
        if not isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            statement(frame, item)
    frame.env = outer
    for name, value in inner.values.items():
        if value is not None:
            frame.analysis.keep_field(made, name, value)


def on_import(frame: Frame, node: ast.Import) -> None:
    for alias in node.names:
        target = alias.name if alias.asname else alias.name.partition(".")[0]
        module = frame.analysis.project.find(alias.name, frame.module) if alias.asname else None
        ref = f"{module.key}:" if module else target
        frame.env.set(alias.asname or target, named(ref))


def on_import_from(frame: Frame, node: ast.ImportFrom) -> None:
    whole = frame.analysis.project.imported(node, frame.module)
    for alias in node.names:
        value = frame.analysis.imported(frame, whole, alias.name)
        frame.env.set(alias.asname or alias.name, value)


def on_delete(frame: Frame, node: ast.Delete) -> None:
    for target in node.targets:
        path = path_of(target)
        if path:
            frame.env.set(path, CONSTANT)


def on_assert(frame: Frame, node: ast.Assert) -> None:
    frame.evaluate(node.test)
    frame.narrow(frame.analysis.guards(frame, node.test)[0])


def on_raise(frame: Frame, node: ast.Raise) -> bool:
    frame.evaluate(node.exc)
    return True


def ends(frame: Frame, node: ast.stmt) -> bool:
    return True


HANDLERS: dict[str, Any] = {
    "Assign": on_assign,
    "AnnAssign": on_annotated,
    "AugAssign": on_augmented,
    "Expr": on_expression,
    "Return": on_return,
    "If": on_if,
    "For": on_for,
    "AsyncFor": on_for,
    "While": on_while,
    "Try": on_try,
    "TryStar": on_try,
    "With": on_with,
    "AsyncWith": on_with,
    "Match": on_match,
    "FunctionDef": on_function,
    "AsyncFunctionDef": on_function,
    "ClassDef": on_class,
    "Import": on_import,
    "ImportFrom": on_import_from,
    "Delete": on_delete,
    "Assert": on_assert,
    "Raise": on_raise,
    "Break": ends,
    "Continue": ends,
}


def results(values: list[Value]) -> Value | None:
    """What a function gives, over all its `return`s; None when nothing but constants."""
    out: Value | None = None
    for value in values:
        out = value if out is None else join(out, value)
    return out
