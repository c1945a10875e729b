"""What a call in JavaScript does with foreign values: keeps them, makes them safe, or does harm with them."""

from __future__ import annotations

import re

from engine.validation.programs import javascript_rules as rules
from engine.validation.programs import javascript_sinks as sinks
from engine.validation.programs.javascript_expressions import (
    FUNCTIONS,
    HARMLESS_NAME,
    Evaluator,
    concatenated,
    module_name,
)
from engine.validation.programs.javascript_guards import ALL, Guard
from engine.validation.programs.javascript_sinks import Sink
from engine.validation.programs.javascript_tree import Node, entries, literal
from engine.validation.programs.javascript_values import CONSTANT, UNKNOWN, Item, Scope, Value, derived, join

SHELL = re.compile(r"(?:^|/)(?:sh|bash|zsh|dash|ksh|cmd(?:\.exe)?|powershell(?:\.exe)?|pwsh)$")
ASSERTION = re.compile(r"^(?:assert|ensure|validate|verify|require)[A-Z_]\w*$")
MARKUP_FILE = re.compile(r"\.(?:html?|svg|css|txt|md|hbs)(?:\?\w+)?$")
STRIPPING = re.compile(r"/\[\^[^\]]*\][+*]?/\w*$")


class Caller(Evaluator):
    """Calls, over the expressions they are made of."""

    def call(self, node: Node, callee: Value, base: Value, method: str, scope: Scope) -> Value:
        holder = node.field("arguments")
        nodes = holder.children if holder is not None else []
        name = callee.name
        if name == "require" and nodes:
            return self.required(literal(nodes[0]), nodes[0], scope)
        seeds = _seeds(base, method, nodes)
        values = [self.define(it, scope, seeds) if it.type in FUNCTIONS else self.evaluate(it, scope) for it in nodes]
        self.calls.append((node, name, nodes))
        self.sinks(node, base, method, name, values, nodes, scope)
        functions = callee.functions or self.by_method(base, method)
        returned = [self.result(key, values, node, scope) for key in functions]
        if base.items and method in rules.CALLBACK_METHODS:
            passed = [value for value in values if value.functions]
        else:
            passed = []
        if ASSERTION.match(name.lstrip("?")) and node.parent is not None and node.parent.type == "expression_statement":
            self.clear(scope, [Guard(it, ALL) for it in nodes])
        if method in ("push", "unshift") and any(value.items for value in values):
            self.grow(node, values, scope)
        if returned and not passed:
            return join(*returned)._replace(name="")
        return self.outcome(node, name, base, method, values, nodes)

    def required(self, path: str | None, node: Node, scope: Scope) -> Value:
        if path is None:
            self.reach(sinks.FUNCTIONS["require"][0], self.evaluate(node, scope), node, scope)
            return UNKNOWN
        return CONSTANT if MARKUP_FILE.search(path) else Value(name=module_name(path))

    def by_method(self, base: Value, method: str) -> tuple[int, ...]:
        """The file's only method of this name, for an object that is no library's."""
        own = method and (base.name == "this" or base.name.startswith("?") or base.name[:1].isupper() or not base.name)
        key = self.methods.get(method, 0) if own else 0
        return (key,) if key else ()

    def grow(self, node: Node, values: list[Value], scope: Scope) -> None:
        function = node.field("function")
        target = function.field("object") if function is not None else None
        if target is not None and target.type == "identifier":
            old = scope.find(target.text)
            scope.assign(target.text, join(*([old] if old else []), *(derived(value) for value in values)))

    def outcome(self, node: Node, name: str, base: Value, method: str, values: list[Value], nodes: list[Node]) -> Value:
        """What a call of something outside the file returns."""
        made = f"{name}()" if name and not name.endswith("()") and len(name) < 120 else name
        if name in ("util.promisify", "promisify") and values:
            return values[0]
        if rules.SOURCE_CALL.fullmatch(name) or (rules.SOURCE.fullmatch(name) and base.name != "location"):
            origin = f"{name}({nodes[0].text[:60] if nodes else ''})"
            return Value(frozenset({Item(origin, node.line, rules.kind_of(name))}), made)
        if method in rules.CLEAN_METHODS:
            return CONSTANT
        if method in ("concat", "replace", "replaceAll") and any(value.items for value in values):
            return concatenated([base, *values])._replace(name="")
        for pattern, safe in rules.CLEANERS:
            if safe and pattern.search(name):
                kept = join(*values, base) if safe != rules.EVERY and values else base
                constant = safe == rules.EVERY or "xss" in safe
                return derived(kept, 0, safe)._replace(name=made, constant=constant or kept.constant)
        if name == "JSON.stringify" and values:
            return derived(values[0], 0, frozenset({"xss-server"}))
        if rules.KEEPERS.match(name) or (method == "concat" and base.items):
            kept = join(*values) if values else UNKNOWN
            whole = (
                kept
                if name in ("Object.assign", "JSON.parse", "structuredClone")
                else derived(join(kept, base) if base.items else kept)
            )
            return whole._replace(name=made, text=None, functions=())
        if HARMLESS_NAME.search(made):
            return Value(name=made, constant=True)
        if base.items and method:
            return self.transformed(node, base, method, values, nodes)._replace(name=made)
        constant = bool(method) and base.constant and all(it.constant or it.functions for it in values)
        if method in ("map", "reduce", "flatMap") and values and values[0].functions:
            return self.result(
                values[0].functions[0], [CONSTANT if base.constant else UNKNOWN] * 2, node, Scope()
            )._replace(name="")
        return Value(name=made, constant=constant)

    def transformed(self, node: Node, base: Value, method: str, values: list[Value], nodes: list[Node]) -> Value:
        """What a method of a foreign value returns: the value, unless it takes the dangerous out."""
        if method in ("replace", "replaceAll") and nodes and nodes[0].type == "regex":
            pattern = nodes[0].text
            if STRIPPING.match(pattern):
                return derived(base, 0, rules.EVERY)
            if ".." in pattern.replace("\\", ""):
                return derived(base, 0, frozenset({"path-traversal"}))
            if "<" in pattern:
                return derived(base, 0, frozenset({"xss"}))
        if method in ("map", "then", "flatMap", "reduce") and values and values[0].functions:
            second = derived(base) if method == "reduce" else CONSTANT
            return derived(self.result(values[0].functions[0], [derived(base), second], node, Scope()))
        if method == "map" and values:
            safe = next((safe for pattern, safe in rules.CLEANERS if pattern.search(values[0].name)), frozenset())
            return derived(base, 0, safe)
        return derived(base) if method not in ("get", "json", "body", "query") else base

    def sinks(
        self, node: Node, base: Value, method: str, name: str, values: list[Value], nodes: list[Node], scope: Scope
    ) -> None:
        if method:
            for sink in sinks.METHODS.get(method, ()):
                if sink.receiver is not None and sink.receiver.search(base.name) and needed(sink, nodes, scope, self):
                    self.give(sink, node, values, nodes, scope)
        elif "." in name and "(" not in name:
            receiver, _, last = name.rpartition(".")
            for sink in sinks.METHODS.get(last, ()):
                if sink.receiver is not None and sink.receiver.search(receiver) and needed(sink, nodes, scope, self):
                    self.give(sink, node, values, nodes, scope)
        for sink in sinks.FUNCTIONS.get(name, ()):
            self.give(sink, node, values, nodes, scope)

    def give(self, sink: Sink, node: Node, values: list[Value], nodes: list[Node], scope: Scope) -> None:
        for number in sink.arguments:
            if number >= len(values):
                continue
            value = values[number]
            if nodes[number].type == "object" and sink.rule in sinks.OBJECT_KEYS:
                found = entries(nodes[number])
                inner = [found[key] for key in sinks.OBJECT_KEYS[sink.rule] if key in found]
                value = join(*(self.evaluate(it, scope) for it in inner)) if inner else CONSTANT
            if sink.need == "fields":
                value = join(CONSTANT, *(self.evaluate(it, scope) for it in entries(nodes[number]).values()))
            self.reach(sink, value, node, scope)


def needed(sink: Sink, nodes: list[Node], scope: Scope, evaluator: Evaluator) -> bool:
    """What `sink.need` asks of the other arguments holds."""
    if sink.need == "shell":
        first = literal(nodes[0]) if nodes else None
        options = next((entries(it) for it in nodes[1:] if it.type == "object"), {})
        shell = options.get("shell")
        return (shell is not None and shell.text != "false") or bool(first and SHELL.search(first))
    if sink.need == "no-root":
        return not any("root" in entries(it) for it in nodes[1:])
    if sink.need == "location":
        return (literal(nodes[0]) or "").lower() == "location" if nodes else False
    return True


def _seeds(base: Value, method: str, nodes: list[Node]) -> list[Value]:
    """What is known of the parameters of the functions among the arguments."""
    if method == "addEventListener" and nodes and literal(nodes[0]) == "message":
        return [Value(name="MESSAGE")]
    if base.items and method in rules.CALLBACK_METHODS:
        element = base if method in ("then", "forEach", "map") else derived(base)
        return (
            [element._replace(name="", functions=()), derived(base)]
            if method == "reduce"
            else [element._replace(name="", functions=())]
        )
    if method in rules.ROUTE_METHODS and len(nodes) >= 2 and literal(nodes[0]) is not None:
        last = nodes[-1].field("parameters")
        count = len(last.children) if last is not None else 1 if nodes[-1].field("parameter") is not None else 0
        return (
            [Value(name="CONTEXT")] if count == 1 else [Value(name="REQUEST"), Value(name="RESPONSE")] if count else []
        )
    return []
