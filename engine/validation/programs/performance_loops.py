"""Work in Python loops that grows with the square of the data, or that is the same in every round.

What counts is the outermost work: a place is judged only where the file does not bound the loop, where it is reached
more than once, and where the types are plain from the text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from engine.validation.programs.performance_scopes import (
    COMPREHENSIONS,
    FORS,
    Loop,
    Scope,
    Source,
    dotted,
    root,
)

LONG_LITERAL = 20
"""A list of so many written elements is worth a set."""


class Fault(NamedTuple):
    """Something to report, and where. reference: the rule of ruff or pylint for the same fault, "" when none."""

    rule: str
    severity: str
    message: str
    node: ast.AST
    reference: str = ""


def loop_faults(source: Source) -> Iterator[Fault]:
    for scope in source.scopes:
        for node in scope.nodes:
            loop = source.loops.get(node)
            if loop is None:
                continue
            if isinstance(node, (ast.AugAssign, ast.Assign)):
                yield from accumulations(node, loop, source)
            elif isinstance(node, ast.Compare):
                yield from memberships(node, loop, source)
            elif isinstance(node, ast.Call):
                yield from shifts(node, loop, source)
                yield from invariants(node, loop, source)
            elif isinstance(node, FORS):
                yield from searches(node, loop, source)


def accumulating(node: ast.AST, name: str, loop: Loop, source: Source) -> bool:
    """`name` is carried from round to round of a loop that the file does not bound, and grows at `node`."""
    for around in loop.around():
        if isinstance(around.node, COMPREHENSIONS):
            return False
        if source.once(node, around):
            continue
        if begins_anew(name, node, around, source):
            return False
        if not source.bounded(around):
            return True
    return False


def begins_anew(name: str, node: ast.AST, loop: Loop, source: Source) -> bool:
    """In a round of the loop `name` is bound to something else, apart from what `node` does."""
    for it in source.walk(loop.node):
        if it is node:
            continue
        targets = it.targets if isinstance(it, (ast.Assign, ast.Delete)) else []
        if isinstance(it, (ast.AnnAssign, ast.NamedExpr, *FORS, ast.comprehension)):
            targets = [it.target]
        elif isinstance(it, ast.withitem) and it.optional_vars is not None:
            targets = [it.optional_vars]
        for target in targets:
            named = any(dotted(part) == name for part in ast.walk(target))
            if named and not rebuilds(it, name) and not starts(it, name, source):
                return True
    return False


def starts(node: ast.AST, name: str, source: Source) -> bool:
    """`if name is None: name = ...`: it is given its first value only once."""
    parent = source.parents.get(node)
    test = parent.test if isinstance(parent, ast.If) and node in parent.body else None
    return (
        isinstance(test, ast.Compare)
        and dotted(test.left) == name
        and isinstance(test.ops[0], ast.Is)
        and isinstance(test.comparators[0], ast.Constant)
    )


def rebuilds(node: ast.AST, name: str) -> bool:
    """`name = name + ...`: it goes on with what it was."""
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and dotted(leftmost(node.value)) == name


def leftmost(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        node = node.left
    return node


def accumulations(node: ast.AugAssign | ast.Assign, loop: Loop, source: Source) -> Iterator[Fault]:
    """Values that are copied as a whole to make them a little longer."""
    scope = loop.scope
    target: ast.expr
    if isinstance(node, ast.AugAssign):
        target, value = node.target, node.value
        if not isinstance(node.op, ast.Add):
            return
    elif len(node.targets) == 1:
        target, value = node.targets[0], node.value
    else:
        return
    name = dotted(target)
    if not name:
        return
    if isinstance(node, ast.Assign):
        yield from copies(node, name, value, loop, source)
        if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Add):
            return
        if dotted(leftmost(value)) != name:
            return
        value = value.right
    plain = isinstance(target, ast.Name)
    known = source.kind_of_name(name, scope) if plain else ""
    added = source.kind(value, scope)
    kind = known or (added if added in ("str", "list") else "")
    if isinstance(node, ast.AugAssign) and kind not in ("str", "bytes", "tuple"):
        return  # += of a list or bytearray does not copy
    if kind not in ("str", "bytes", "tuple", "list") or not accumulating(node, name, loop, source):
        return
    if kind == "str":
        local = plain and name not in scope.elsewhere
        yield Fault(
            "string-concat-in-loop",
            "info" if local else "warning",
            f"{name} is put together piece by piece in a loop, "
            + ("which only CPython does without copying it" if local else "and copied in every round")
            + ": collect the pieces in a list and use ''.join",
            node,
        )
    elif kind == "bytes":
        message = f"the bytes of {name} are copied in every round of the loop: use a bytearray, or b''.join"
        yield Fault("string-concat-in-loop", "warning", message, node)
    else:
        better = "append or extend" if kind == "list" else "make a list, and a tuple of it at the end"
        message = f"the {kind} {name} is copied in every round of the loop, which takes quadratic time: {better}"
        yield Fault("sequence-copied-in-loop", "warning", message, node)


ARRAYS = frozenset(["append", "concatenate", "hstack", "vstack", "insert", "r_", "column_stack"])


def copies(node: ast.Assign, name: str, value: ast.expr, loop: Loop, source: Source) -> Iterator[Fault]:
    """`xs = [*xs, x]`, `d = {**d, ...}`, `df = pd.concat([df, ...])`."""
    spread = False
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        spread = any(isinstance(it, ast.Starred) and dotted(it.value) == name for it in value.elts)
    elif isinstance(value, ast.Dict):
        spread = any(key is None and dotted(it) == name for key, it in zip(value.keys, value.values))
    if spread and accumulating(node, name, loop, source):
        message = f"{name} is copied in every round of the loop, which takes quadratic time: change it in place"
        yield Fault("sequence-copied-in-loop", "warning", message, node)
    grown = isinstance(value, ast.Call) and grown_array(value, name, loop.scope, source)
    if grown and accumulating(node, name, loop, source):
        message = (
            f"all of {name} is copied in every round of the loop, which takes quadratic time: collect the parts in"
            " a list and join them once after the loop"
        )
        severity = "error" if begins(name, loop.scope) else "warning"
        yield Fault("array-grown-in-loop", severity, message, node)


def begins(name: str, scope: Scope) -> bool:
    """It is plain where the array begins, so that it is one that is built up from nothing."""
    values = scope.bindings[name] if "." not in name else []
    return any(it is not None and not any(dotted(part) == name for part in ast.walk(it)) for it in values)


def grown_array(call: ast.Call, name: str, scope: Scope, source: Source) -> bool:
    """The call makes an array or table of `name` and something more."""
    called = source.called(call)
    module, _, function = called.rpartition(".")
    if (module == "numpy" and function in ARRAYS) or (module == "pandas" and function == "concat"):
        first = call.args[0] if call.args else None
        parts = first.elts if isinstance(first, (ast.List, ast.Tuple)) else [first] if first is not None else []
        return any(dotted(it) == name for it in parts)
    if function == "append" and module == name and "." not in name:
        # What a list's append gives is None: only a table's gives a table.
        frame = any(isinstance(it, ast.Call) and "pandas" in source.called(it) for it in scope.bindings[name] if it)
        return frame or any(it.arg in ("ignore_index", "verify_integrity") for it in call.keywords)
    return False


def memberships(node: ast.Compare, loop: Loop, source: Source) -> Iterator[Fault]:
    """`x in xs` where `xs` is a list of no fixed length that is there over all rounds."""
    if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.In, ast.NotIn)):
        return
    where = node.comparators[0]
    if isinstance(where, ast.Call):
        yield from built_for_membership(node, where, loop, source)
    name = where.id if isinstance(where, ast.Name) else ""
    owner = source.owner(name, loop.scope) if name else None
    if owner is None or source.kind_of_name(name, loop.scope) != "list" or is_parameter(name, owner):
        return
    if not any(not source.bounded(it) and not source.once(node, it) for it in outside_of(name, loop, source)):
        return
    length = written_length(name, owner, source)
    if length is not None and length < LONG_LITERAL:
        return
    if length is not None:
        message = f"each round of the loop goes through the {length} elements of {name}: use a set"
    elif source.few(where, loop.scope) or unhashable(name, owner, source) or kept_short(name, owner, source):
        return
    else:
        message = f"each round of the loop goes through the list {name}, which takes quadratic time: use a set"
    yield Fault("list-membership-in-loop", "warning", message, node, "PLR6201")


def built_for_membership(node: ast.Compare, where: ast.Call, loop: Loop, source: Source) -> Iterator[Fault]:
    """`x in list(xs)`, `x in d.keys()`."""
    if source.called(where) in ("list", "tuple", "sorted") and len(where.args) == 1:
        over = where.args[0]
        if isinstance(over, ast.Call) and isinstance(over.func, ast.Attribute) and over.func.attr == "values":
            return
        if not source.few(over, loop.scope) and not source.bounded(loop):
            message = "a list is made in every round of the loop only to look for one element in it"
            yield Fault("list-membership-in-loop", "warning", message, node)
    elif isinstance(where.func, ast.Attribute) and where.func.attr == "keys" and not source.bounded(loop):
        message = "a dict itself tells what keys it has: keys() makes one more object in every round"
        yield Fault("keys-in-loop", "info", message, node, "SIM118")


def outside_of(name: str, loop: Loop, source: Source) -> Iterator[Loop]:
    """The loops around a place, up to that which binds `name` anew in every round."""
    for around in loop.around():
        for it in source.walk(around.node):
            if isinstance(it, ast.Name) and it.id == name and isinstance(it.ctx, ast.Store):
                return
        yield around


def written_length(name: str, owner: Scope, source: Source) -> int | None:
    """How many elements the literal has that `name` is bound to; None when it is another thing, or changed."""
    values = owner.bindings[name]
    if len(values) != 1 or not isinstance(values[0], ast.List) or source.grows(name, owner):
        return None
    return None if any(isinstance(it, ast.Starred) for it in values[0].elts) else len(values[0].elts)


def is_parameter(name: str, owner: Scope) -> bool:
    """A parameter that is called a list may be short: what it holds is the caller's matter."""
    return None in owner.bindings[name]


def unhashable(name: str, owner: Scope, source: Source) -> bool:
    """Lists, dicts or sets are put into it, which no set takes."""
    kinds = (ast.List, ast.Dict, ast.Set, *COMPREHENSIONS)
    for node in source.members(owner):
        if isinstance(node, ast.Call) and dotted(node.func) == f"{name}.append":
            return any(isinstance(it, kinds) for it in node.args)
    return False


def kept_short(name: str, owner: Scope, source: Source) -> bool:
    """The function looks at how long it has become, or takes elements out again."""
    for node in source.members(owner):
        if isinstance(node, ast.Compare):
            for it in (node.left, *node.comparators):
                if isinstance(it, ast.Call) and dotted(it.func) == "len" and it.args and dotted(it.args[0]) == name:
                    return True
        if isinstance(node, ast.Call) and dotted(node.func) in (f"{name}.pop", f"{name}.remove", f"{name}.clear"):
            return True
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Del) and dotted(node.value) == name:
            return True
    return False


def shifts(node: ast.Call, loop: Loop, source: Source) -> Iterator[Fault]:
    """`xs.insert(0, x)` and `xs.pop(0)`: all other elements are moved."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in ("insert", "pop") or not node.args:
        return
    first = node.args[0]
    if not isinstance(first, ast.Constant) or first.value != 0 or isinstance(first.value, bool):
        return
    if len(node.args) != (2 if node.func.attr == "insert" else 1) or node.keywords:
        return
    name = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
    if not name or source.kind_of_name(name, loop.scope) != "list":
        return
    if accumulating(node, name, loop, source):
        message = f"each {node.func.attr}(0) moves all elements of {name}: use collections.deque"
        yield Fault("list-shift-in-loop", "warning", message, node)


SAME_RESULT = frozenset(["sorted", "sum", "max", "min", "set", "frozenset"])


def invariants(node: ast.Call, loop: Loop, source: Source) -> Iterator[Fault]:
    """Calls that give the same in every round."""
    called = source.called(node)
    if called == "re.compile" and node.args and isinstance(node.args[0], ast.Constant):
        if any(not source.bounded(it) and not source.once(node, it) for it in loop.around()):
            yield Fault("invariant-in-loop", "info", "the pattern is the same in every round: compile it once", node)
        return
    if called == "copy.deepcopy" and any(not source.bounded(it) and not source.once(node, it) for it in loop.around()):
        yield Fault("deepcopy-in-loop", "info", "each round copies a whole structure, slowly: copy what changes", node)
        return
    if called == "len" and len(node.args) == 1:
        made = node.args[0]
        copied = isinstance(made, ast.Call) and source.called(made) in ("list", "tuple", "sorted") and made.args
        if isinstance(made, ast.Call) and copied and same_in_all_rounds(made, loop, source):
            yield Fault("invariant-in-loop", "warning", "it is counted anew in every round, with a copy", node)
        return
    if called in SAME_RESULT and node.args and same_in_all_rounds(node, loop, source):
        message = f"{called}({root(node.args[0])}) is the same in every round of the loop: do it once before"
        yield Fault("invariant-in-loop", "warning", message, node)


def same_in_all_rounds(node: ast.Call, loop: Loop, source: Source) -> bool:
    """Nothing that the call depends on changes in the loop, and the call is made in every round."""
    if isinstance(loop.node, ast.While) or source.bounded(loop) or not isinstance(node.args[0], ast.Name):
        return False
    if len(node.args) > 1 or any(not isinstance(it.value, ast.Constant) for it in node.keywords):
        return False
    name = node.args[0].id
    owner = source.owner(name, loop.scope)
    if owner is None or owner.node is source.module.node or owner is not loop.scope or name in loop.scope.elsewhere:
        return False
    if name in source.changed(loop) or source.few(node.args[0], loop.scope) or consumed(name, owner):
        return False
    return source.unconditional(node, loop) and not source.once(node, loop) and not kept_and_changed(node, source)


def consumed(name: str, owner: Scope) -> bool:
    """It may be an iterator, which gives nothing the second time."""
    return any(isinstance(it, ast.GeneratorExp) for it in owner.bindings[name])


def kept_and_changed(node: ast.Call, source: Source) -> bool:
    """The result is a new list or set that is kept: the next round may need one of its own."""
    if isinstance(node.func, ast.Name) and node.func.id in ("sorted", "set", "list"):
        parent = source.parents[node]
        if source.called(parent) == "len":
            return False
        return not isinstance(parent, (*FORS, ast.comprehension, ast.Subscript, ast.Compare))
    return False


def searches(node: ast.For | ast.AsyncFor, loop: Loop, source: Source) -> Iterator[Fault]:
    """A loop over the same collection inside, that does nothing but look for equal elements."""
    outer = loop.node
    if not isinstance(outer, FORS) or len(node.body) != 1 or not isinstance(node.body[0], ast.If):
        return
    test = node.body[0].test
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    if not isinstance(node.target, ast.Name) or not isinstance(outer.target, ast.Name) or node.body[0].orelse:
        return
    ours = {outer.target.id, node.target.id}
    equal = any(
        isinstance(it, ast.Compare)
        and len(it.ops) == 1
        and isinstance(it.ops[0], ast.Eq)
        and {root(it.left), root(it.comparators[0])} == ours
        for it in parts
    )
    if not equal or not isinstance(node.iter, ast.Name) or not isinstance(outer.iter, ast.Name):
        return
    if source.bounded(loop) or source.few(node.iter, loop.scope) or node.iter.id in source.changed(loop):
        return
    if node.iter.id == outer.iter.id:
        message = f"every element of {node.iter.id} is compared with every other: use a dict by what is compared"
        yield Fault("nested-search", "warning", message, node)
    else:
        message = f"all of {node.iter.id} is gone through for each element of {outer.iter.id}: use a dict"
        yield Fault("nested-search", "info", message, node)
