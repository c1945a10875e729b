"""Measures functions of JavaScript, TypeScript, Go, Java, Rust and C by their trees. Of the check `quality`.

Needs tree-sitter and a package for each grammar: ImportError where one is missing. A tree is walked once, without
recursion; each node costs the same wherever it stands. What a function within a function costs is added to the one
around it, unless that has nothing of its own that counts: then it is only the place where the others stand.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from engine.validation.programs.javascript_tree import UnparsableError, ends
from engine.validation.programs.quality_grammars import GRAMMARS, SUFFIXES, Grammar
from engine.validation.programs.quality_measures import Measures

DEEPER = frozenset(("body", "consequence", "alternative"))
"""Fields of a structure that stand one level deeper than it does."""

LABELS = ("label", "label_name", "statement_identifier", "identifier")

COMMENTS = frozenset(("comment", "line_comment", "block_comment"))
SUITES = frozenset((b"describe", b"context", b"suite", b"define", b"it", b"test", b"beforeEach", b"afterEach"))
"""What is handed a function only to put code into it: how long that is says nothing."""

NAMED_BY = frozenset(
    ("variable_declarator", "pair", "assignment_expression", "field_definition", "public_field_definition")
)
MAX_NAME = 100

_parsers: dict[str, Any] = {}


class Unit:
    """A function while it is walked. base: the level that it stands at.

    bare: it is called by its name alone. own: what its nodes cost, as if it stood at level 0; sensitive: how many of
    them cost more when they stand deeper.
    """

    def __init__(self, node: Any, name: str, base: int) -> None:
        self.node = node
        self.name = name
        self.base = base
        self.cyclomatic = 1
        self.own = 0
        self.sensitive = 0
        self.nesting = 0
        self.recursive = False
        self.bare = node.type != "method_definition" and node.child_by_field_name("receiver") is None
        self.inner: list[Unit] = []


class Frame:
    """A node on the way down. level: of what stands in it for cognitive complexity. depth: blocks around, in its unit.

    chain: the last operator of the logical expression that the node is part of, in a list of one; None when in none.
    """

    __slots__ = ("chain", "depth", "kind", "level", "unit")

    def __init__(self, kind: str, level: int, depth: int, unit: Unit | None, chain: list[str] | None) -> None:
        self.kind = kind
        self.level = level
        self.depth = depth
        self.unit = unit
        self.chain = chain


class Walk:
    """Walks one tree; `units` are the functions that stand in no other."""

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.units: list[Unit] = []
        self.structures = grammar.ifs | grammar.loops | grammar.switches | grammar.catches | grammar.ternaries
        self.blocks = grammar.ifs | grammar.loops | grammar.switches | grammar.tries

    def run(self, root: Any) -> None:
        cursor = root.walk()
        frames = [Frame(cursor.node.type, 0, 0, None, None)]
        if not cursor.goto_first_child():
            return
        while True:
            frames.append(self.enter(frames[-1], cursor.node, cursor.field_name))
            if cursor.goto_first_child():
                continue
            frames.pop()
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent() or len(frames) < 2:
                    return
                frames.pop()

    def enter(self, above: Frame, node: Any, field: str | None) -> Frame:
        """What the node costs goes to the unit that it stands in."""
        kind, grammar, unit = node.type, self.grammar, above.unit
        level = above.level + self.deeper(above, kind, field)
        if not node.is_named:
            self.operator(above, kind, unit)
            return Frame(kind, level, above.depth, unit, None)
        if kind in grammar.functions:
            return self.function(above, node, field, level)
        if unit is None:
            return Frame(kind, 0, 0, None, None)
        if kind in grammar.closures:
            return Frame(kind, level + 1, above.depth, unit, None)
        follows = kind in grammar.ifs and (
            above.kind == "else_clause" or (above.kind in grammar.ifs and field == "alternative")
        )
        self.charge(unit, above, node, field, level, follows)
        depth = above.depth + (kind in self.blocks and not follows)
        unit.nesting = max(unit.nesting, depth)
        return Frame(kind, level, depth, unit, self.chain(above, node))

    def deeper(self, above: Frame, kind: str, field: str | None) -> int:
        """Whether a child stands one level deeper than its parent; `else if` stands where its `if` does."""
        if above.kind == "else_clause":
            return int(kind not in self.grammar.ifs)
        if above.kind in self.grammar.switches:
            return int(field in DEEPER or field is None)
        if above.kind not in self.structures:
            return 0
        return int(
            field in DEEPER and kind != "else_clause" and not (field == "alternative" and kind in self.grammar.ifs)
        )

    def charge(self, unit: Unit, above: Frame, node: Any, field: str | None, level: int, follows: bool) -> None:
        kind, grammar = node.type, self.grammar
        if kind in self.structures:
            unit.own += 1 if follows else 1 + level - unit.base
            unit.sensitive += not follows
            unit.cyclomatic += kind not in grammar.switches
        elif kind in grammar.cases:
            unit.cyclomatic += chooses(node)
        elif above.kind == "else_clause" or (above.kind in grammar.ifs and field == "alternative"):
            unit.own += kind not in COMMENTS and kind != "else_clause"
        elif kind in grammar.jumps:
            unit.own += kind == "goto_statement" or any(it.type.endswith(LABELS) for it in node.named_children)
        elif kind == grammar.calls[0] and not unit.recursive:
            called = node.child_by_field_name(grammar.calls[1])
            bare = called is not None and called.type == "identifier" and node.child_by_field_name("object") is None
            unit.recursive = bare and unit.bare and shown(called) == unit.name
            unit.own += unit.recursive

    def operator(self, above: Frame, kind: str, unit: Unit | None) -> None:
        """An operator of a logical expression; equal ones that follow each other cost once."""
        if unit is None or above.chain is None or kind not in self.grammar.operators:
            return
        unit.cyclomatic += 1
        if above.chain[0] != kind:
            unit.own += 1
            above.chain[0] = kind

    def chain(self, above: Frame, node: Any) -> list[str] | None:
        if node.type == "parenthesized_expression":
            return above.chain
        if node.type not in self.grammar.logical:
            return None
        operator = node.child_by_field_name("operator")
        if node.type == "binary_expression" and (operator is None or operator.type not in self.grammar.operators):
            return None
        return above.chain if above.chain is not None else [""]

    def function(self, above: Frame, node: Any, field: str | None, level: int) -> Frame:
        around = above.unit
        base = level + 1 if around is not None else 0
        unit = Unit(node, name_of(node), base)
        (self.units if around is None else around.inner).append(unit)
        return Frame(node.type, base, 0, unit, None)


def measure(data: bytes, suffix: bytes) -> Iterator[Measures]:
    """The functions of a file, in order.

    Raises:
      ImportError: tree-sitter or the grammar is not there.
      UnparsableError: the parser does not come to an end.
    """
    language, module, entry = SUFFIXES[suffix]
    parser = parser_for(module, entry)
    if not ends(parser, data):
        raise UnparsableError
    tree = parser.parse(data)
    walk = Walk(GRAMMARS[language])
    walk.run(tree.root_node)
    waiting = [(unit, True) for unit in reversed(walk.units)]
    totals = complete(walk.units)
    while waiting:
        unit, whole = waiting.pop()
        place_only = whole and unit.own == 0 and bool(unit.inner)
        yield measured(unit, totals[id(unit)] if whole and not place_only else 0 if whole else None, data)
        waiting.extend((it, place_only) for it in reversed(unit.inner))


def complete(units: list[Unit]) -> dict[int, int]:
    """For each unit, by its `id`, its cognitive complexity with what the functions in it add."""
    order = list(units)
    for unit in order:
        order.extend(unit.inner)
    totals: dict[int, int] = {}
    sensitive: dict[int, int] = {}
    for unit in reversed(order):
        totals[id(unit)] = unit.own + sum(
            totals[id(it)] + sensitive[id(it)] * (it.base - unit.base) for it in unit.inner
        )
        sensitive[id(unit)] = unit.sensitive + sum(sensitive[id(it)] for it in unit.inner)
    return totals


def measured(unit: Unit, cognitive: int | None, data: bytes) -> Measures:
    node = unit.node
    body = node.child_by_field_name("body")
    line, column = place(node.start_point, node.start_byte, data)
    end = node.end_point if body is None else body.start_point
    end_line, end_column = place(end, node.end_byte if body is None else body.start_byte, data)
    return Measures(
        name=unit.name,
        line=line,
        column=column,
        end_line=end_line,
        end_column=end_column,
        cyclomatic=unit.cyclomatic,
        cognitive=cognitive,
        nesting=unit.nesting,
        length=None if is_wrapper(node) else node.end_point[0] - node.start_point[0] + 1,
        parameters=parameters(node),
        named=bool(unit.name),
    )


def parser_for(module: str, entry: str) -> Any:
    key = f"{module}.{entry}"
    if key not in _parsers:
        from tree_sitter import Language, Parser

        _parsers[key] = Parser(Language(getattr(importlib.import_module(module), entry)()))
    return _parsers[key]


def chooses(case: Any) -> bool:
    """A way of a choice that is not what is left over."""
    first = case.children[0].type if case.children else ""
    if case.type == "match_arm":
        pattern = case.child_by_field_name("pattern")
        return pattern is None or pattern.text.strip() != b"_"
    return first != "default"


def name_of(function: Any) -> str:
    """ "" for a function that is written where it is handed over."""
    node = function
    name = node.child_by_field_name("name")
    while name is None and node.child_by_field_name("declarator") is not None:  # C: behind `*` and parameters
        node = node.child_by_field_name("declarator")
        name = node if node.type == "identifier" else None
    holder = function.parent
    if name is None and holder is not None and holder.type in NAMED_BY:
        name = next(
            (it for key in ("name", "key", "property", "left") if (it := holder.child_by_field_name(key))), None
        )
    return shown(name) if name is not None else ""


def shown(node: Any) -> str:
    return b" ".join(node.text[: 4 * MAX_NAME].split()).decode("utf-8", "replace")[:MAX_NAME]


def is_wrapper(function: Any) -> bool:
    """A function that is called at once, or handed to one of SUITES."""
    holder = function.parent
    while holder is not None and holder.type in ("arguments", "parenthesized_expression"):
        function, holder = holder, holder.parent
    if holder is None or holder.type != "call_expression":
        return False
    called = holder.child_by_field_name("function")
    return called is not None and (called == function or called.text[:200].split(b".")[0] in SUITES)


def parameters(function: Any) -> int:
    """Without what stands for the object itself."""
    node = function
    while node.child_by_field_name("parameters") is None and node.child_by_field_name("declarator") is not None:
        node = node.child_by_field_name("declarator")
    given = node.child_by_field_name("parameters")
    if given is None:
        return int(function.child_by_field_name("parameter") is not None)
    count = 0
    for it in given.named_children:
        if it.type in COMMENTS or it.type in ("self_parameter", "receiver_parameter", "attribute_item"):
            continue
        names = it.children_by_field_name("name") if it.type == "parameter_declaration" else []
        count += 0 if it.text == b"void" else max(1, len(names))
    return count


def place(point: Any, offset: int, data: bytes) -> tuple[int, int]:
    """Line and column from 1, in characters; tree-sitter counts bytes from 0."""
    return point[0] + 1, len(data[offset - point[1] : offset].decode("utf-8", "replace")) + 1
