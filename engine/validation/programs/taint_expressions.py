"""What expressions are worth: names, attributes, texts and how they are put together, containers, comprehensions."""

from __future__ import annotations

import ast
import re
from typing import Any

from engine.validation.programs.taint_frame import Env, Frame, constant_key, path_of
from engine.validation.programs.taint_functions import HOST_FIELDS
from engine.validation.programs.taint_modules import Function, dotted
from engine.validation.programs.taint_rules import (
    FILE_NAME,
    FILE_NAME_FIELDS,
    REQUEST_FIELDS,
    REQUESTS,
    SOURCE_FIELDS,
    SOURCES,
    XSS,
)
from engine.validation.programs.taint_values import (
    CONSTANT,
    HOLE,
    HOST_MARK,
    UNKNOWN,
    Label,
    Value,
    collection,
    concat,
    derive,
    element,
    join,
    merged,
    named,
    origin,
    safe_for,
    text_of,
)

PERCENT = re.compile(r"%(?:\([^)]*\))?[-#0 +]*(?:\*|\d+)?(?:\.(?:\*|\d+))?([a-zA-Z%])")
NUMERIC = frozenset("diouxXeEfFgG")
CONSTANT_FIELDS = frozenset(
    ["__name__", "__tablename__", "db_table", "__class__", "__qualname__", "table_name_", "__file__", "__doc__"]
)
WRITTEN_LARGE = re.compile(r"_*[A-Z][A-Z0-9_]*$")
MAX_CHAIN = 4_000


def constant(frame: Frame, node: ast.Constant) -> Value:
    return text_of(node.value) if isinstance(node.value, str) else CONSTANT


def name(frame: Frame, node: ast.Name) -> Value:
    value = frame.env.get(node.id)
    return named(node.id) if value is None else value


def attribute(frame: Frame, node: ast.Attribute) -> Value:
    path = path_of(node)
    if path:
        known = frame.env.get(path)
        if known is not None:
            return known
    base = frame.evaluate(node.value)
    return field(frame, base, node.attr, node)


def field(frame: Frame, base: Value, attr: str, node: ast.AST) -> Value:
    """`base.attr`, where nothing was assigned to it in this body."""
    ref = base.ref
    if ref in REQUESTS or ref == "@request":
        return from_request(frame, attr, node)
    if base.labels:
        if attr in SOURCE_FIELDS:
            return source(frame, node, "source")
        host = HOST_MARK + base.derived if base.derived and attr in HOST_FIELDS else ""
        value = Value(base.labels, base.built, None, f"{ref}.{attr}" if ref else "", None, host)
        return safe_for(value, FILE_NAME) if attr in FILE_NAME_FIELDS and "Path" in ref else value
    if base.fields and attr in base.fields:
        return base.fields[attr]
    if attr in SOURCE_FIELDS:
        return source(frame, node, "source")
    if ref:
        full = f"{ref}.{attr}"
        kind = SOURCES.get(full)
        if kind:
            return source(frame, node, kind, full)
        known = frame.analysis.attribute(frame, ref, attr)
        if known is not None:
            return known  # type: ignore[no-any-return]
        if ref == "self" and frame.owner is not None:
            return UNKNOWN if not (attr in CONSTANT_FIELDS or WRITTEN_LARGE.match(attr)) else CONSTANT
        return named(full)
    if attr in CONSTANT_FIELDS or WRITTEN_LARGE.match(attr):
        return CONSTANT
    return UNKNOWN


def from_request(frame: Frame, attr: str, node: ast.AST) -> Value:
    if attr in REQUEST_FIELDS:
        return source(frame, node, "source", f"@request.{attr}")
    return named(f"@request.{attr}")


def source(frame: Frame, node: Any, kind: str, ref: str = "") -> Value:
    """A value that enters here."""
    return origin(Label(kind, shown(node), frame.module.shown, node.lineno), ref)


def shown(node: ast.AST) -> str:
    """An expression as people read it, in short."""
    written = dotted(node)
    if written:
        return written[:60]
    if isinstance(node, ast.Call):
        return f"{dotted(node.func)[:58]}()"
    if isinstance(node, ast.Subscript):
        key = constant_key(node)
        return f"{shown(node.value)}[{'...' if key is None else repr(key)}]"[:60]
    if isinstance(node, ast.Attribute):
        return f"{shown(node.value)}.{node.attr}"[:60]
    return "a value"


def subscript(frame: Frame, node: ast.Subscript) -> Value:
    path = path_of(node)
    if path:
        known = frame.env.get(path)
        if known is not None:
            return known
    base = frame.evaluate(node.value)
    key = constant_key(node)
    if isinstance(node.slice, ast.Slice):
        for part in (node.slice.lower, node.slice.upper, node.slice.step):
            frame.evaluate(part)
        return derive(base, base.ref)
    if key is None:
        frame.evaluate(node.slice)
    elif base.fields and key in base.fields:
        return base.fields[key]
    if base.ref and not base.labels and not base.ref.startswith(("[]", "{}")):
        if SOURCES.get(base.ref):
            return source(frame, node, SOURCES[base.ref])
        return UNKNOWN if not WRITTEN_LARGE.match(base.ref.rpartition(".")[2]) else CONSTANT
    out = element(base)
    return Value(out.labels, out.built, out.text, out.ref or base.ref, out.fields, base.derived)


def binary(frame: Frame, node: ast.BinOp) -> Value:
    if isinstance(node.op, ast.Mod):
        return modulo(frame, node)
    if isinstance(node.op, ast.Add):
        return concat_chain(frame, node)
    left, right = frame.evaluate(node.left), frame.evaluate(node.right)
    if isinstance(node.op, ast.Div) and (left.labels or right.labels or "Path" in left.ref):
        made = concat([left, text_of("/"), right])
        return Value(made.labels, made.built, made.text, "pathlib.Path()")
    if isinstance(node.op, ast.Mult):
        many = left if left.labels or left.ref == "[]" else right
        return Value(many.labels, many.built, None, many.ref)
    return Value(merged((left.labels, right.labels)), left.built or right.built, None, left.ref or right.ref)


def concat_chain(frame: Frame, node: ast.BinOp) -> Value:
    """`a + b + ...`, without going deeper for each of them."""
    parts: list[ast.expr] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):
        parts.append(left.right)
        left = left.left
    parts.append(left)
    values = [frame.evaluate(part) for part in reversed(parts)]
    if any(value.ref == "[]" for value in values):
        return collection(values)
    made = concat(values)
    if any("Markup()" in value.ref for value in values):
        return safe_for(made, frozenset((XSS,)))
    return made


def modulo(frame: Frame, node: ast.BinOp) -> Value:
    left, right = frame.evaluate(node.left), frame.evaluate(node.right)
    template = left.text
    if template is None:
        made = concat([left, right])
        return safe_for(made, frozenset((XSS,))) if "Markup()" in left.ref else made
    letters = [match[1] for match in PERCENT.finditer(template) if match[1] != "%"]
    parts = [right]
    if right.fields and right.ref == "[]" and len(right.fields) == len(letters):
        parts = [value for value, letter in zip(right.fields.values(), letters) if letter not in NUMERIC]
    elif letters and all(letter in NUMERIC for letter in letters):
        parts = []
    labels = merged([left.labels, *(part.labels for part in parts)])
    made = Value(labels, bool(labels), PERCENT.sub(lambda it: "%" if it[1] == "%" else HOLE, template))
    return safe_for(made, frozenset((XSS,))) if "Markup()" in left.ref else made


def joined_text(frame: Frame, node: ast.JoinedStr) -> Value:
    return concat(frame.evaluate(part) for part in node.values)


def formatted(frame: Frame, node: Any) -> Value:
    value = frame.evaluate(node.value)
    spec = node.format_spec
    if spec is not None and len(spec.values) == 1 and isinstance(spec.values[0], ast.Constant):
        if str(spec.values[0].value)[-1:] in NUMERIC:
            return CONSTANT
    elif spec is not None:
        frame.evaluate(spec)
    literal = value.literal
    return value if literal is not None or value.labels else Value({}, False, HOLE)


def boolean(frame: Frame, node: ast.BoolOp) -> Value:
    """`a and b`: what comes later is only reached when the test before has gone its way."""
    outer = frame.env
    frame.env = Env(outer)
    out: Value | None = None
    for part in node.values:
        value = frame.evaluate(part)
        out = value if out is None else join(out, value)
        when_true, when_false = frame.analysis.guards(frame, part)
        frame.narrow(when_true if isinstance(node.op, ast.And) else when_false)
    frame.env = outer
    return out or CONSTANT


def conditional(frame: Frame, node: ast.IfExp) -> Value:
    frame.evaluate(node.test)
    when_true, when_false = frame.analysis.guards(frame, node.test)
    outer = frame.env
    frame.env = Env(outer)
    frame.narrow(when_true)
    first = frame.evaluate(node.body)
    frame.env = Env(outer)
    frame.narrow(when_false)
    second = frame.evaluate(node.orelse)
    frame.env = outer
    return join(first, second)


def sequence(frame: Frame, node: Any) -> Value:
    values = [frame.evaluate(part) for part in node.elts]
    starred = any(isinstance(part, ast.Starred) for part in node.elts)
    return collection(values, None if starred else {str(place): value for place, value in enumerate(values)})


def dictionary(frame: Frame, node: ast.Dict) -> Value:
    fields: dict[str, Value] = {}
    parts = []
    for key, item in zip(node.keys, node.values):
        value = frame.evaluate(item)
        if key is None:
            fields.update(value.fields or {})
            parts.append(value)
        elif isinstance(key, ast.Constant):
            fields[str(key.value)[:60]] = value
            parts.append(value)
        else:
            parts.extend((frame.evaluate(key), value))
    return collection(parts, fields if all(isinstance(key, ast.Constant) for key in node.keys) else None, "{}")


def comprehension(frame: Frame, node: Any) -> Value:
    outer = frame.env
    frame.env = Env(outer)
    for part in node.generators:
        frame.analysis.assign(frame, part.target, element(frame.evaluate(part.iter)))
        for test in part.ifs:
            frame.evaluate(test)
            frame.narrow(frame.analysis.guards(frame, test)[0])
    if isinstance(node, ast.DictComp):
        key, value = frame.evaluate(node.key), frame.evaluate(node.value)
        made = Value(merged((key.labels, value.labels)), value.built, None, "{}")
    else:
        value = frame.evaluate(node.elt)
        made = Value(value.labels, value.built, None, "[]")
    frame.env = outer
    return made


def lambda_(frame: Frame, node: ast.Lambda) -> Value:
    function = Function(f"{frame.key}/lambda@{node.lineno}.{node.col_offset}", node, frame.module, None, frame.env)
    return frame.define(function)


def walrus(frame: Frame, node: Any) -> Value:
    value = frame.evaluate(node.value)
    frame.env.set(node.target.id, value)
    return value


def compared(frame: Frame, node: ast.Compare) -> Value:
    frame.evaluate(node.left)
    for part in node.comparators:
        frame.evaluate(part)
    return CONSTANT


def unary(frame: Frame, node: ast.UnaryOp) -> Value:
    frame.evaluate(node.operand)
    return CONSTANT


def inside(frame: Frame, node: Any) -> Value:
    return frame.evaluate(node.value)


def yielded(frame: Frame, node: Any) -> Value:
    frame.results.append(frame.evaluate(node.value))
    return UNKNOWN


Frame.handlers.update(
    {
        ast.Constant: constant,
        ast.Name: name,
        ast.Attribute: attribute,
        ast.Subscript: subscript,
        ast.BinOp: binary,
        ast.JoinedStr: joined_text,
        ast.FormattedValue: formatted,
        ast.BoolOp: boolean,
        ast.IfExp: conditional,
        ast.List: sequence,
        ast.Tuple: sequence,
        ast.Set: sequence,
        ast.Dict: dictionary,
        ast.ListComp: comprehension,
        ast.SetComp: comprehension,
        ast.GeneratorExp: comprehension,
        ast.DictComp: comprehension,
        ast.Lambda: lambda_,
        ast.NamedExpr: walrus,
        ast.Compare: compared,
        ast.UnaryOp: unary,
        ast.Starred: inside,
        ast.Await: inside,
        ast.Yield: yielded,
        ast.YieldFrom: inside,
    }
)
