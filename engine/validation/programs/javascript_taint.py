"""Follows foreign values through one file of JavaScript: functions and what they tell their callers.

The file is gone through a few times; each time the functions' summaries (which parameters get where harm is done, what
is returned) are those of the time before. A finding is where the harm is done, and names where the value came from.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.validation.programs import javascript_rules as rules
from engine.validation.programs.javascript_expressions import FUNCTIONS, request_object
from engine.validation.programs.javascript_sinks import Sink
from engine.validation.programs.javascript_statements import Statements
from engine.validation.programs.javascript_tree import Node
from engine.validation.programs.javascript_values import (
    CONSTANT,
    HTML,
    OBJECT,
    PARAMETER,
    PROCESS,
    REQUEST,
    UNKNOWN,
    Item,
    Scope,
    Value,
    few,
    join,
)

PASSES = 3
MAX_SINKS = 40

NAMED = {
    "req": "REQUEST",
    "request": "REQUEST",
    "res": "RESPONSE",
    "response": "RESPONSE",
    "reply": "REPLY",
    "resp": "RESPONSE",
    "ctx": "CONTEXT",
    "context": "CONTEXT",
}
"""What parameters of these names are taken for."""

DECORATED = re.compile(r"@(?:Query|Body|Param|Headers|Cookies)\(")


class Pending(NamedTuple):
    """A parameter's way to where harm is done; `item` tells what was made of it on the way."""

    parameter: int
    sink: Sink
    node: Node
    item: Item


class Function:
    """A function of the file, and what is known of it for its callers."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.sinks: dict[tuple[int, str, int], Pending] = {}
        self.returns: Value | None = None
        self.called = False


class Harm(NamedTuple):
    """A foreign, or an unknown, value where it does harm."""

    rule: str
    node: Node
    message: str
    severity: str


class Analysis(Statements):
    """All of one file. `harms` are the findings, by rule and place."""

    def __init__(self, root: Node, steps: int) -> None:
        super().__init__(steps)
        self.root = root
        self.functions: dict[int, Function] = {}
        self.harms: dict[tuple[str, int], Harm] = {}
        seen: dict[str, int] = {}
        for node in root.walk():
            name = node.field("name")
            if node.type == "method_definition" and name is not None:
                seen[name.text] = 0 if name.text in seen else node.start
        self.methods = {name: key for name, key in seen.items() if name != "constructor"}

    def run(self) -> list[Harm]:
        for _ in range(PASSES):
            self.harms.clear()
            self.calls.clear()
            before = sum(len(it.sinks) for it in self.functions.values()), len(self.functions)
            self.block(self.root.children, Scope())
            if (sum(len(it.sinks) for it in self.functions.values()), len(self.functions)) == before:
                break
        for function in self.functions.values():
            for pending in function.sinks.values() if not function.called else ():
                self.doubt(pending.sink, pending.node)
        return list(self.harms.values())

    def reach(self, sink: Sink, value: Value, node: Node, scope: Scope) -> None:
        for item in sorted(value.items):
            if rules.counts(item, sink.rule) and not scope.is_cleared(item, sink.rule):
                self.reached(sink, item, node)
        if not value.items and not value.constant and not value.functions and value.text is None:
            self.doubt(sink, node)

    def reached(self, sink: Sink, item: Item, node: Node) -> None:
        if item.kind == PARAMETER:
            number, key = _parameter(item)
            function = self.functions.get(key)
            if function is not None and len(function.sinks) < MAX_SINKS:
                function.sinks.setdefault((number, sink.rule, node.start), Pending(number, sink, node, item))
            return
        if (sink.built and not item.built & sink.built) or not _fits(sink, item, node):
            return
        severity = "warning" if item.kind == PROCESS or sink.rule == "prototype-pollution" else "error"
        source = re.sub(r"^REQUEST", "req", re.sub(r"^CONTEXT", "ctx", re.sub(r"^MESSAGE", "event", item.origin)))
        message = f"{source[:80]} (line {item.line}) gets here unchecked: {rules.ADVICE[sink.rule]}"
        self.harm(sink.rule, node, message, severity)

    def doubt(self, sink: Sink, node: Node) -> None:
        """An unknown value, where only constants and sanitised values are sure to be safe."""
        if sink.need in ("page", "code"):
            self.harm(sink.rule, node, f"a value that is not constant gets here: {rules.ADVICE[sink.rule]}", "warning")

    def harm(self, rule: str, node: Node, message: str, severity: str) -> None:
        known = self.harms.get((rule, node.start))
        if known is None or (known.severity != "error" and severity == "error"):
            self.harms[rule, node.start] = Harm(rule, _place(node), message, severity)

    def define(self, node: Node, scope: Scope, seeds: list[Value]) -> Value:
        function = self.functions.setdefault(node.start, Function(node))
        inner = Scope(scope, node.start)
        parameters = node.field("parameters") or node.field("parameter")
        if parameters is not None:
            found = parameters.children if parameters.type == "formal_parameters" else [parameters]
            for number, pattern in enumerate(it for it in found if it.text != "this"):
                self.bind(pattern, self.parameter(node, number, pattern, seeds), inner, True)
        body = node.field("body")
        if body is not None and body.type == "statement_block":
            function.returns = None
            self.statement(body, inner)
            function.returns = function.returns or UNKNOWN
        elif body is not None:
            function.returns = inner.remembered(self.evaluate(body, inner), rules.EVERY)
        return Value(functions=(node.start,))

    def returns(self, value: Value, scope: Scope) -> None:
        function = self.functions.get(scope.function)
        if function is not None:
            function.returns = value if function.returns is None else join(function.returns, value)

    def parameter(self, node: Node, number: int, pattern: Node, seeds: list[Value]) -> Value:
        item = Item(f"{PARAMETER}:{node.start}:{number}", node.line, PARAMETER)
        name = pattern.text.split(":")[0].split("=")[0].strip().rstrip("?")
        if pattern.type == "required_parameter" and DECORATED.match(pattern.text):
            return Value(frozenset({Item(f"REQUEST.{name}", pattern.line, REQUEST)}))
        if name in NAMED:
            return Value(name=NAMED[name])
        if number < len(seeds):
            return seeds[number] if seeds[number].name else seeds[number]._replace(name="?" + name)
        if pattern.text.startswith("{") and _handler(node, number):
            return Value(name="REQUEST")
        return Value(frozenset({item}), "?" + name)

    def result(self, function: int, arguments: list[Value], node: Node, scope: Scope) -> Value:
        known = self.functions.get(function)
        if known is None:
            return UNKNOWN
        known.called = known.called or bool(arguments)
        for pending in list(known.sinks.values()):
            value = arguments[pending.parameter] if pending.parameter < len(arguments) else CONSTANT
            for item in _substituted(pending.item, value):
                if rules.counts(item, pending.sink.rule) and not scope.is_cleared(item, pending.sink.rule):
                    self.reached(pending.sink, item, pending.node)
            if not value.items and not value.constant and value.text is None:
                self.doubt(pending.sink, pending.node)
        returns = known.returns or UNKNOWN
        items: set[Item] = set()
        constant = returns.constant
        for item in returns.items:
            number, key = _parameter(item) if item.kind == PARAMETER else (0, 0)
            if key != function:
                items.add(item)
                continue
            value = arguments[number] if number < len(arguments) else CONSTANT
            items |= _substituted(item, value)
            constant = constant or (len(returns.items) == 1 and value.constant and not value.items)
        return Value(few(frozenset(items)), returns.name, constant, functions=returns.functions)


def _parameter(item: Item) -> tuple[int, int]:
    _, key, number = item.origin.split(":", 2)
    return int(re.split(r"[.\[]", number)[0]), int(key)


def _substituted(item: Item, value: Value) -> frozenset[Item]:
    """The argument's items, made into what was made of the parameter."""
    rest = re.sub(r"^\w+:\d+:\d+", "", item.origin) if item.whole else ""
    return frozenset(
        it._replace(
            origin=it.origin[:200] + (rest if it.whole else ""),
            whole=it.whole and item.whole,
            built=it.built | item.built,
            cleaned=it.cleaned | item.cleaned,
        )
        for it in value.items
    )


def _place(node: Node) -> Node:
    """Where to point at: the method's name when a chain of calls began on an earlier line."""
    function = node.field("function")
    name = function.field("property") if function is not None else None
    return name if name is not None and name.line != node.line else node


def _fits(sink: Sink, item: Item, node: Node) -> bool:
    """What `sink.need` asks of the value holds."""
    if sink.need == "whole":
        return request_object(item)
    if sink.need == "fields":
        return item.whole and item.kind == REQUEST and bool(re.search(r"\.(?:body|query)\.", item.origin))
    if sink.need == "derived":
        return not re.search(r"location$", item.origin) and (item.whole or bool(item.built & HTML))
    if sink.need == "server":
        if item.kind != REQUEST or request_object(item) or "xss-server" in item.cleaned or item.built & OBJECT:
            return False
        return not rules.DATA_STRING.search(_around(node))
    return True


def _around(node: Node) -> str:
    """The text of the function around."""
    inside: Node | None = node
    while inside is not None and inside.type not in FUNCTIONS:
        inside = inside.parent
    return (inside or node).head()


def _handler(node: Node, number: int) -> bool:
    """The function's first parameter is taken apart and the second is a response."""
    parameters = node.field("parameters")
    found = [it.text.split(":")[0].strip() for it in parameters.children] if parameters is not None else []
    return number == 0 and len(found) > 1 and NAMED.get(found[1]) in ("RESPONSE", "REPLY")
