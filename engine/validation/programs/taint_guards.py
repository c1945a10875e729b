"""What a test shows about the variables in it: allow-lists, character classes, places below a directory, known hosts.

`guards` gives for a test what holds when it is true and what holds when it is false. A test of what is forbidden
(`if name in BLOCKED`) shows nothing, nor does the beginning of a path in which `..` may still be.
"""

from __future__ import annotations

import ast
import re
from typing import Any, Tuple

from engine.validation.programs import taint_functions
from engine.validation.programs import taint_rules as rules
from engine.validation.programs.taint_frame import Env, Frame, Guards, path_of
from engine.validation.programs.taint_modules import dotted
from engine.validation.programs.taint_sinks import FIXED_HOST
from engine.validation.programs.taint_values import (
    ALL,
    BEGINS_WITH_SLASH,
    HOST_MARK,
    NORMAL,
    NOT_WITH_TWO,
    Value,
    element,
)

Both = Tuple[Guards, Guards]

NONE: Both = ([], [])
ANYTHING = re.compile(r"(?<!\\)\.[*+]|\[\^|\\S[*+]|\\D[*+]")
"""In a pattern: text that nobody has restricted."""

LENIENT_END = re.compile(r"(?:\$|\\Z|\\z)\)*$")


def guards(frame: Frame, test: ast.AST) -> Both:
    """(what holds when `test` is true, what holds when it is false)."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        when_true, when_false = guards(frame, test.operand)
        return when_false, when_true
    if isinstance(test, ast.BoolOp):
        return of_boolean(frame, test)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return of_comparison(frame, test)
    if isinstance(test, ast.Call):
        return of_call(frame, test)
    if isinstance(test, ast.NamedExpr):
        return guards(frame, test.value)
    if isinstance(test, ast.Await):
        return guards(frame, test.value)
    path = path_of(test)
    if path in frame.conditions:
        return frame.conditions[path]
    if isinstance(test, ast.Attribute) and test.attr in taint_functions.HOST_FIELDS:
        return [], host_of(frame, test)
    if path and isinstance(test, ast.expr):
        return [], [(path, rules.EVERYTHING, test)]
    return NONE


def of_boolean(frame: Frame, test: ast.BoolOp) -> Both:
    parts = [guards(frame, part) for part in test.values]
    conjunction = isinstance(test.op, ast.And)
    sure = [it for part in parts for it in part[0 if conjunction else 1]]
    maybe = in_all([part[1 if conjunction else 0] for part in parts])
    return (sure, maybe) if conjunction else (maybe, sure)


def in_all(parts: list[Guards]) -> Guards:
    """What each of them shows."""
    out = []
    for path, groups, node in parts[0]:
        others = [[it[1] for it in part if it[0] == path] for part in parts[1:]]
        if all(others):
            shared = groups
            for found in others:
                for one in found:
                    shared = shared if ALL in one else one if ALL in shared else shared & one
            out.append((path, shared, node))
    return out


def of_comparison(frame: Frame, test: ast.Compare) -> Both:
    operator, left, right = test.ops[0], test.left, test.comparators[0]
    if isinstance(operator, (ast.In, ast.NotIn)):
        when_true, when_false = membership(frame, left, right)
        return (when_true, when_false) if isinstance(operator, ast.In) else (when_false, when_true)
    if isinstance(operator, (ast.Eq, ast.Is, ast.NotEq, ast.IsNot)):
        shown = equality(frame, left, right)
        none = isinstance(right, ast.Constant) and right.value in ("", None) and left_host(left)
        other = host_of(frame, left) if none else []
        return (shown + other, []) if isinstance(operator, (ast.Eq, ast.Is)) else ([], shown + other)
    if (
        isinstance(operator, (ast.LtE, ast.Lt))
        and isinstance(left, ast.Call)
        and dotted(left.func) == "set"
        and left.args
    ):
        return about(frame, left.args[0], rules.EVERYTHING), []
    return NONE


def left_host(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in taint_functions.HOST_FIELDS


def trusted(value: Value) -> bool:
    """Nobody who sends a request chooses it."""
    return not any(label.kind == "source" and not trace.safe for label, trace in value.labels.items())


def membership(frame: Frame, left: ast.expr, right: ast.expr) -> Both:
    if isinstance(left, ast.Constant):
        if left.value in ("/", "\\", "/\\") and isinstance(right, ast.expr):
            return [], about(frame, right, frozenset((rules.PATH,)))
        return NONE
    container = frame.evaluate(right)
    if isinstance(right, ast.Attribute) and right.attr == "parents":
        return below(frame, [right.value], right.value), []
    if not trusted(container):
        return NONE
    return about(frame, left, rules.EVERYTHING), []


def equality(frame: Frame, left: ast.expr, right: ast.expr) -> Guards:
    for one, other in ((left, right), (right, left)):  # noqa: B007
        if isinstance(one, ast.Call) and dotted(one.func).rpartition(".")[2] in ("commonpath", "commonprefix"):
            return below(frame, list(one.args), one)
    if isinstance(left, ast.Call) and dotted(left.func) in ("os.path.dirname", "os.path.basename"):
        return about(frame, left.args[0], rules.FILE_NAME) if left.args else []
    shown: Guards = []
    for one, other in ((left, right), (right, left)):
        if path_of(one) and frame.evaluate(one).labels and trusted(frame.evaluate(other)):
            shown += about(frame, one, rules.EVERYTHING)
    if shown:
        return shown
    return host_of(frame, left) if left_host(left) else []


def about(frame: Frame, node: ast.expr, groups: frozenset[str]) -> Guards:
    """`node` itself is shown to be harmless; with its host, the address that it was taken from."""
    out: Guards = []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):  # noqa: SIM102
        if node.func.attr in ("lower", "upper", "strip", "casefold") and not node.args:
            return about(frame, node.func.value, groups)
    path = path_of(node)
    if path:
        out.append((path, groups, node))
    return out + host_of(frame, node)


def host_of(frame: Frame, node: ast.expr) -> Guards:
    """The variable with the address that `node` is the host of."""
    value = frame.evaluate(node)
    if not value.derived.startswith(HOST_MARK):
        return []
    path = value.derived.lstrip(HOST_MARK)
    try:
        whole = ast.parse(path, mode="eval").body
    except (SyntaxError, ValueError):
        return []
    out: Guards = [(path, rules.ADDRESS, whole)]
    if isinstance(node, ast.Attribute) and path_of(node.value):
        out.append((path_of(node.value), rules.ADDRESS, node.value))
    return out


def of_call(frame: Frame, test: ast.Call) -> Both:
    name = dotted(test.func)
    if isinstance(test.func, ast.Name):
        if name in ("all", "any") and len(test.args) == 1:
            return of_each(frame, name, test.args[0])
        if name == "isinstance" and len(test.args) == 2:
            kinds = test.args[1].elts if isinstance(test.args[1], ast.Tuple) else [test.args[1]]
            if all(dotted(kind).rpartition(".")[2] in rules.SAFE_TYPES for kind in kinds):
                return about(frame, test.args[0], rules.EVERYTHING), []
            return NONE
    target = frame.evaluate(test.func)
    if isinstance(test.func, ast.Attribute):
        shown = of_method(frame, test, test.func, target)
        if shown is not NONE:
            return shown
    return of_function(frame, test, target)


def of_each(frame: Frame, name: str, argument: ast.expr) -> Both:
    """`all(x in ALLOWED for x in xs)` is about `xs`."""
    if not isinstance(argument, (ast.GeneratorExp, ast.ListComp)) or len(argument.generators) != 1:
        return NONE
    part = argument.generators[0]
    outer = frame.env
    frame.env = Env(outer)
    frame.analysis.assign(frame, part.target, element(frame.evaluate(part.iter)))
    when_true, when_false = guards(frame, argument.elt)
    frame.env = outer
    others = [it for it in when_true if it[0] != path_of(part.target)] if name == "any" else []
    if others and trusted(element(frame.evaluate(part.iter))):
        return others, []
    shown = when_true if name == "all" else when_false
    for path, groups, _ in shown:
        if path == path_of(part.target):
            made = about(frame, part.iter, groups)
            return (made, []) if name == "all" else ([], made)
    return NONE


def of_method(frame: Frame, test: ast.Call, function: ast.Attribute, target: Value) -> Both:
    receiver, attr = function.value, function.attr
    if attr in taint_functions.PLAIN_TESTS and not test.args:
        return about(frame, receiver, rules.EVERYTHING), []
    if attr in ("match", "fullmatch") and test.args:
        return pattern(frame, test, function, target)
    if attr == "startswith" and test.args:
        return beginning(frame, test, receiver)
    if attr == "endswith" and test.args:
        literal = frame.evaluate(test.args[0]).literal or ""
        return (host_of(frame, receiver), []) if literal.startswith(".") else NONE
    if attr == "is_relative_to":
        return below(frame, [receiver], receiver), []
    if attr in ("issubset", "issuperset") and dotted(getattr(receiver, "func", receiver)) == "set":
        inner = getattr(receiver, "args", None)
        return (about(frame, inner[0], rules.EVERYTHING), []) if inner and attr == "issubset" else NONE
    if attr == "issuperset" and test.args and trusted(frame.evaluate(receiver)):
        return about(frame, test.args[0], rules.EVERYTHING), []
    return NONE


def pattern(frame: Frame, test: ast.Call, function: ast.Attribute, target: Value) -> Both:
    """A regular expression that the whole text must match, and that restricts what is in it."""
    library = target.ref.startswith("re.") or target.ref.startswith("regex.")
    if library and "()" not in target.ref:
        if len(test.args) < 2:
            return NONE
        literal, subject = frame.evaluate(test.args[0]).literal, test.args[1]
    else:
        literal, subject = frame.analysis.patterns.get(path_of(function.value)), test.args[0]
    if literal is not None:
        ends = function.attr == "fullmatch" or LENIENT_END.search(literal)
        if not ends or ANYTHING.search(literal):
            return NONE
    return about(frame, subject, rules.EVERYTHING), []


def beginning(frame: Frame, test: ast.Call, receiver: ast.expr) -> Both:
    start = frame.evaluate(test.args[0])
    literal = start.literal
    if literal is None and start.constant and (start.text or "").startswith("http"):
        return about(frame, receiver, rules.ADDRESS), []
    if literal == "/":
        return about(frame, receiver, frozenset((BEGINS_WITH_SLASH,))), []
    if literal is not None and literal.startswith("//"):
        return [], about(frame, receiver, frozenset((NOT_WITH_TWO,)))
    if isinstance(test.args[0], ast.Tuple):
        parts = [frame.evaluate(it).literal or "" for it in test.args[0].elts]
        if any(it.startswith("//") for it in parts):
            return [], about(frame, receiver, frozenset((NOT_WITH_TWO,)))
        if parts and all(FIXED_HOST.match(it) for it in parts):
            return about(frame, receiver, rules.ADDRESS), []
        return NONE
    if literal is not None and FIXED_HOST.match(literal):
        return about(frame, receiver, rules.ADDRESS), []
    if literal is not None and literal.startswith(("http", "..", ".")):
        return NONE
    return below(frame, [receiver], receiver), []


def below(frame: Frame, parts: list[ast.expr], whole: ast.AST) -> Guards:
    """A path is shown to be below a directory: what is in `parts`, provided that `..` was taken out of it."""
    out: Guards = []
    for part in parts:
        value = frame.evaluate(part)
        normal = all(NORMAL in trace.safe or rules.PATH in trace.safe for trace in value.labels.values())
        if value.labels and normal:
            out.extend((path, frozenset((rules.PATH,)), node) for path, node in named_in(frame, part))
    return out


def named_in(frame: Frame, node: ast.AST) -> list[tuple[str, ast.expr]]:
    """The variables in an expression that are not constant; not the functions that it calls."""
    out = []
    todo: list[Any] = [node]
    while todo:
        part = todo.pop()
        if isinstance(part, ast.Call):
            todo.extend(part.args)
            if isinstance(part.func, ast.Attribute):
                todo.append(part.func.value)
            continue
        path = path_of(part)
        if path and frame.evaluate(part).labels:
            out.append((path, part))
        elif not path:
            todo.extend(ast.iter_child_nodes(part))
    return out


def of_function(frame: Frame, test: ast.Call, target: Value) -> Both:
    """A function that tells: of the project by its summary, of a library by its name."""
    attr = test.func.attr if isinstance(test.func, ast.Attribute) else ""
    receiver = frame.evaluate(test.func.value) if isinstance(test.func, ast.Attribute) else target
    out: Guards = []
    for function, bound in frame.analysis.functions(frame, target.ref, receiver, attr):
        for index, groups in frame.analysis.summary(function, frame).guards.items():
            place = index - 1 if bound else index
            if 0 <= place < len(test.args):
                out.extend(about(frame, test.args[place], groups))
        return out, []
    name = target.ref if target.ref in taint_functions.GUARDS else target.ref.rpartition(".")[2]
    if name in taint_functions.GUARDS and test.args and taint_functions.GUARDS[name]:
        return about(frame, test.args[0], taint_functions.GUARDS[name]), []
    return NONE
