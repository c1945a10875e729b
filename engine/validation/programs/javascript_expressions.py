"""Evaluates JavaScript expressions to what is known of their values; the harm done on the way is handed to `reach`."""

from __future__ import annotations

import re

from engine.validation.programs import javascript_rules as rules
from engine.validation.programs import javascript_sinks as sinks
from engine.validation.programs.javascript_guards import Guard, guards
from engine.validation.programs.javascript_sinks import Sink
from engine.validation.programs.javascript_tree import Node, literal
from engine.validation.programs.javascript_values import (
    CONDITION,
    CONSTANT,
    OBJECT,
    PARAMETER,
    REQUEST,
    UNKNOWN,
    Item,
    Scope,
    Value,
    derived,
    join,
)

MAX_DEPTH = 250
MAX_NAME = 120

FUNCTIONS = frozenset(
    [
        "arrow_function",
        "function_expression",
        "function",
        "function_declaration",
        "method_definition",
        "generator_function",
        "generator_function_declaration",
    ]
)
WRAPPERS = frozenset(
    [
        "parenthesized_expression",
        "await_expression",
        "as_expression",
        "satisfies_expression",
        "non_null_expression",
        "type_assertion",
        "expression_statement",
    ]
)
LITERALS = frozenset(["string", "number", "true", "false", "null", "undefined", "regex", "this", "super"])
RENAMED = {"fs-extra": "fs", "graceful-fs": "fs", "fs/promises": "fs.promises", "mz/fs": "fs", "original-fs": "fs"}
HARMLESS_NAME = re.compile(
    r"^(?:Math|Date|performance|i18n|i18next|ReactDOMServer|react-dom\.server)\b|^\??(?:t|__|gettext|intl\.\w+)$"
    r"|\.(?:innerHTML|outerHTML|length|toFixed|toLocaleString|toISOString)(?:\(\))?$"
    r"|(?:^|[.?])(?:renderToString|renderToStaticMarkup)\(\)$"
)


class Evaluator:
    """One file's expressions. Subclasses say how functions and statements are run.

    steps: expressions left to evaluate; what is beyond that or nested too deeply is unknown, and `cut` says so.
    """

    def __init__(self, steps: int) -> None:
        self.depth = 0
        self.steps = steps
        self.cut = False
        self.known: tuple[Node | None, dict[str, Value]] = (None, {})
        self.calls: list[tuple[Node, str, list[Node]]] = []
        self.methods: dict[str, int] = {}

    def reach(self, sink: Sink, value: Value, node: Node, scope: Scope) -> None:
        """The value gets where `sink` does harm."""
        raise NotImplementedError

    def define(self, node: Node, scope: Scope, seeds: list[Value]) -> Value:
        """A function's expression; seeds are what is known of its parameters."""
        raise NotImplementedError

    def result(self, function: int, arguments: list[Value], node: Node, scope: Scope) -> Value:
        """What a call of one of the file's functions returns."""
        raise NotImplementedError

    def bind(self, pattern: Node, value: Value, scope: Scope, declared: bool) -> None:
        """Set the variables of a pattern."""
        raise NotImplementedError

    def evaluate(self, node: Node | None, scope: Scope) -> Value:
        if node is None:
            return UNKNOWN
        self.steps -= 1
        if self.depth > MAX_DEPTH or self.steps < 0:
            self.cut = True
            return UNKNOWN
        self.depth += 1
        try:
            return self._evaluate(node, scope)
        finally:
            self.depth -= 1

    def _evaluate(self, node: Node, scope: Scope) -> Value:
        kind = node.type
        if kind in ("identifier", "shorthand_property_identifier"):
            return self.variable(node.text, scope, node)
        if kind in LITERALS:
            return Value(constant=True, text=literal(node), name="this" if kind == "this" else "")
        if kind in WRAPPERS:
            inner = [self.evaluate(child, scope) for child in node.children]
            return inner[0] if inner else UNKNOWN
        if kind in FUNCTIONS:
            return self.define(node, scope, [])
        method = getattr(self, f"on_{kind}", None)
        if method is not None:
            found: Value = method(node, scope)
            return found
        for child in node.children:
            self.evaluate(child, scope)
        return UNKNOWN

    def variable(self, name: str, scope: Scope, node: Node) -> Value:
        value = scope.find(name)
        if value is None:
            if name == "undefined":
                return CONSTANT
            return self.sourced(Value(name=name), node)
        inside = scope.find(name + ".*")
        if inside is not None:
            value = Value(
                value.items | inside.items, value.name, value.constant and inside.constant, value.text, value.functions
            )
        return value if value.name or value.text is not None else value._replace(name="?" + name)

    def sourced(self, value: Value, node: Node) -> Value:
        """The value, foreign when its name says so."""
        known = any(it.kind != PARAMETER for it in value.items)
        if known or not rules.SOURCE.fullmatch(value.name):
            return value
        item = Item(value.name, node.line, rules.kind_of(value.name))
        return value._replace(items=frozenset({item}), constant=False)

    def on_member_expression(self, node: Node, scope: Scope) -> Value:
        return self.property(node, self.evaluate(node.field("object"), scope), scope)

    def property(self, node: Node, value: Value, scope: Scope) -> Value:
        """A member expression whose object has this value."""
        base, prop = node.field("object"), node.field("property")
        if base is None or prop is None:
            return UNKNOWN
        if base.type in ("identifier", "this"):
            name = f"{base.text}.{prop.text}"
            stored = scope.find(name)
            if stored is not None:
                return stored if stored.name or stored.text is not None else stored._replace(name="?" + name)
        return self.member(value, prop.text, node)

    def member(self, value: Value, prop: str, node: Node) -> Value:
        """`value.prop`."""
        name = f"{value.name}.{prop}" if value.name and len(value.name) < MAX_NAME else ""
        name = name.replace("fs.promises.promises", "fs.promises").replace(".default", "")
        if prop in ("length", "size") or HARMLESS_NAME.search(name):
            return Value(constant=True, name=name)
        items = frozenset(
            it._replace(origin=f"{it.origin[:200]}.{prop}" if it.whole else it.origin, built=it.built & ~OBJECT)
            for it in value.items
        )
        return self.sourced(Value(items, name), node)

    def on_subscript_expression(self, node: Node, scope: Scope) -> Value:
        base, index = self.evaluate(node.field("object"), scope), self.evaluate(node.field("index"), scope)
        if index.text is not None:
            return self.member(base, index.text, node)
        items = frozenset(it._replace(origin=f"{it.origin[:200]}[]") if it.whole else it for it in base.items)
        return Value(items, constant=base.constant)

    def on_template_string(self, node: Node, scope: Scope) -> Value:
        parts: list[Value] = []
        position = node.start + 1
        for child in node.children:
            if child.type != "template_substitution":
                continue
            parts.append(_text(node.source[position : child.start].decode("utf-8", "replace")))
            parts.append(self.evaluate(child.children[0] if child.children else None, scope))
            position = child.end
        parts.append(_text(node.source[position : node.end - 1].decode("utf-8", "replace")))
        return concatenated(parts)

    def on_binary_expression(self, node: Node, scope: Scope) -> Value:
        operator = node.fields["operator"].text if "operator" in node.fields else ""
        if operator == "+":
            waiting: Node | None = node
            parts: list[Value] = []
            while (
                waiting is not None and waiting.type == "binary_expression" and waiting.fields["operator"].text == "+"
            ):
                parts.append(self.evaluate(waiting.field("right"), scope))
                waiting = waiting.field("left")
            parts.append(self.evaluate(waiting, scope))
            return concatenated(parts[::-1])
        left = self.evaluate(node.field("left"), scope)
        if operator in ("&&", "||"):
            right = self.guarded(node.field("right"), scope, guards(node.field("left"), operator == "&&"))
            return right if operator == "&&" else join(left, right)
        right = self.evaluate(node.field("right"), scope)
        return join(left, right) if operator == "??" else CONSTANT

    def guarded(self, node: Node | None, scope: Scope, found: list[Guard]) -> Value:
        """The expression's value where these guards hold."""
        if not found:
            return self.evaluate(node, scope)
        inner = scope.branch()
        self.clear(inner, found)
        return inner.remembered(self.evaluate(node, inner), rules.EVERY)

    def clear(self, scope: Scope, found: list[Guard]) -> None:
        for guard in found:
            if guard.node.end - guard.node.start > 200 or re.search(r"=>|\bfunction\b|[?|&]{2}", guard.node.text):
                continue
            value = self.evaluate(guard.node, scope)
            if value.name == "MESSAGE.origin":
                scope.clear("MESSAGE.data", guard.rules)
            for item in value.items:
                scope.clear(item.origin, guard.rules)

    def on_unary_expression(self, node: Node, scope: Scope) -> Value:
        self.evaluate(node.field("argument"), scope)
        return CONSTANT

    def on_ternary_expression(self, node: Node, scope: Scope) -> Value:
        condition = node.field("condition")
        self.evaluate(condition, scope)
        return join(
            self.guarded(node.field("consequence"), scope, guards(condition, True)),
            self.guarded(node.field("alternative"), scope, guards(condition, False)),
        )

    def on_sequence_expression(self, node: Node, scope: Scope) -> Value:
        return ([UNKNOWN] + [self.evaluate(child, scope) for child in node.children])[-1]

    def on_spread_element(self, node: Node, scope: Scope) -> Value:
        return self.evaluate(node.children[0] if node.children else None, scope)

    def on_array(self, node: Node, scope: Scope) -> Value:
        value = concatenated([self.evaluate(child, scope) for child in node.children], pinned=False)
        return value._replace(text=None)

    def on_object(self, node: Node, scope: Scope) -> Value:
        found = [CONSTANT]
        known: dict[str, Value] = {}
        for child in node.children:
            if child.type == "pair":
                value = self.evaluate(child.field("value"), scope)
                key = child.field("key")
                if key is not None and key.text.strip("'\"") == "$where":
                    self.reach(Sink("nosql-injection", None), derived(value), child, scope)
                found.append(derived(value, OBJECT))
                if key is not None:
                    known[key.text.strip("'\"")] = value
            else:
                name = child.field("name")
                if child.type == "method_definition" and name is not None:
                    known[name.text] = Value(functions=(child.start,))
                found.append(self.evaluate(child, scope)._replace(name="", text=None, functions=()))
        self.known = (node, known)
        return join(*found)._replace(functions=())

    def on_assignment_expression(self, node: Node, scope: Scope) -> Value:
        left, right = node.field("left"), node.field("right")
        seeds = [Value(name="MESSAGE")] if left is not None and left.text.endswith("onmessage") else []
        if right is not None and right.type in FUNCTIONS:
            value = self.define(right, scope, seeds)
        else:
            value = self.evaluate(right, scope)
        if left is not None:
            self.assigned(left, value, scope, node)
            self.fields(left, right, scope)
        return value

    def on_augmented_assignment_expression(self, node: Node, scope: Scope) -> Value:
        left = node.field("left")
        old, new = self.evaluate(left, scope), self.evaluate(node.field("right"), scope)
        operator = node.fields["operator"].text if "operator" in node.fields else "+="
        value = concatenated([old, new]) if operator == "+=" else join(old, new)
        if left is not None:
            self.assigned(left, new if left.type == "member_expression" else value, scope, node)
            self.bind(left, value, scope, False)
        return value

    def assigned(self, left: Node, value: Value, scope: Scope, node: Node) -> None:
        """Set a variable or a property, which may do harm."""
        self.bind(left, value, scope, False)
        if left.type == "member_expression":
            base, prop = left.field("object"), left.field("property")
            sink = sinks.ASSIGNED.get(prop.text) if prop is not None else None
            if sink is not None and sink.receiver is not None and sink.receiver.search(self.evaluate(base, scope).name):
                self.reach(sink, value, node, scope)
        elif left.text == "location" and scope.find("location") is None:
            self.reach(sinks.ASSIGNED["location"], value, node, scope)

    def fields(self, left: Node, right: Node | None, scope: Scope) -> None:
        """Know the properties of a variable that was just set to an object literal."""
        if left.type == "identifier" and right is not None and self.known[0] is right:
            for key, value in self.known[1].items():
                scope.declare(f"{left.text}.{key}", value)

    def on_jsx_attribute(self, node: Node, scope: Scope) -> Value:
        values = [self.evaluate(child, scope) for child in node.children[1:]]
        if node.children and node.children[0].text == "dangerouslySetInnerHTML" and values:
            self.reach(sinks.ASSIGNED["innerHTML"], values[0], node, scope)
        return CONSTANT

    def on_jsx_expression(self, node: Node, scope: Scope) -> Value:
        return self.evaluate(node.children[0] if node.children else None, scope)

    def on_new_expression(self, node: Node, scope: Scope) -> Value:
        return self.call(node, self.evaluate(node.field("constructor"), scope), UNKNOWN, "", scope)

    def on_call_expression(self, node: Node, scope: Scope) -> Value:
        function, arguments = node.field("function"), node.field("arguments")
        if function is not None and arguments is not None and arguments.type == "template_string":
            value = self.evaluate(arguments, scope)
            name = self.evaluate(function, scope).name
            return value if name == "String.raw" else Value(name=name + "``", constant=True)
        if function is not None and function.type == "import":
            return Value(
                name=module_name(literal(arguments.children[0]) or "") if arguments and arguments.children else ""
            )
        if function is None or function.type != "member_expression":
            return self.call(node, self.evaluate(function, scope), UNKNOWN, "", scope)
        base = self.evaluate(function.field("object"), scope)
        method = function.fields["property"].text if "property" in function.fields else ""
        return self.call(node, self.property(function, base, scope), base, method, scope)

    def call(self, node: Node, callee: Value, base: Value, method: str, scope: Scope) -> Value:
        """A call or `new`, told by what is called, on what, by which name."""
        raise NotImplementedError


def module_name(path: str) -> str:
    """The full name of a module; "" for one of the project's own."""
    path = path[5:] if path.startswith("node:") else path
    return "" if path.startswith((".", "/", "~", "@/")) else RENAMED.get(path, path).replace("/", ".")


def _text(text: str) -> Value:
    return Value(constant=True, text=text)


def concatenated(parts: list[Value], pinned: bool = True) -> Value:
    """A string put together of the parts; pinned: what comes first decides where a URL leads."""
    whole = "".join("x" if part.text is None else part.text for part in parts)
    built = rules.built_of(whole) & ~CONDITION if any(part.text for part in parts) else 0
    items: set[Item] = set()
    prefix = ""
    for part in parts:
        if part.items:
            flags = built | (rules.built_of(prefix[-80:]) & CONDITION)
            safe = (
                frozenset({"ssrf", "open-redirect"})
                if pinned and not rules.OPEN_ADDRESS.match(prefix) and prefix
                else frozenset()
            )
            items |= derived(part, flags, safe).items
        prefix = (
            (prefix + ("x" if part.text is None else part.text))[:400]
            if len(prefix) < 400
            else prefix[:320] + (part.text or "x")[-80:]
        )
    text = whole if all(part.text is not None for part in parts) and len(whole) < 2000 else None
    return join(Value(frozenset(items), constant=all(part.constant for part in parts), text=text))


def request_object(item: Item) -> bool:
    """The item is a whole object of a request, such as `req.body`."""
    return (
        item.whole and item.kind == REQUEST and bool(re.search(r"\.(?:body|query|params|json)(?:\(\))?$", item.origin))
    )
