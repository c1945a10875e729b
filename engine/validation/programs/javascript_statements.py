"""Runs the statements of JavaScript over the variables of a scope: branches, loops, declarations and patterns."""

from __future__ import annotations

import re

from engine.validation.programs import javascript_rules as rules
from engine.validation.programs.javascript_calls import MARKUP_FILE, Caller
from engine.validation.programs.javascript_expressions import module_name
from engine.validation.programs.javascript_guards import guards
from engine.validation.programs.javascript_sinks import Sink
from engine.validation.programs.javascript_tree import Node, literal
from engine.validation.programs.javascript_values import CONSTANT, UNKNOWN, Scope, Value, derived, join

PROTECTED = re.compile(r"__proto__|prototype|Object\.create\(\s*null|hasOwn")
ENDS = frozenset({"return_statement", "throw_statement", "break_statement", "continue_statement"})


class Statements(Caller):
    """Statements and patterns, over calls and expressions."""

    def returns(self, value: Value, scope: Scope) -> None:
        """A function of the file returns the value."""
        raise NotImplementedError

    # Patterns.

    def bind(self, pattern: Node, value: Value, scope: Scope, declared: bool) -> None:
        kind = pattern.type
        if kind in ("identifier", "shorthand_property_identifier_pattern", "undefined"):
            (scope.declare if declared else scope.assign)(pattern.text, value)
            if scope.find(pattern.text + ".*") is not None:
                scope.declare(pattern.text + ".*", CONSTANT)
        elif kind in ("assignment_pattern", "object_assignment_pattern", "required_parameter", "optional_parameter"):
            inner = pattern.field("left") or pattern.field("pattern")
            default = pattern.field("right") or pattern.field("value")
            if default is not None:
                self.evaluate(default, scope)
            if (inner is not None and inner.type != "shorthand_property_identifier_pattern") or inner is not None:
                self.bind(inner, value, scope, declared)
        elif kind == "object_pattern":
            for child in pattern.children:
                self.bind_property(child, value, scope, declared)
        elif kind == "array_pattern":
            for number, child in enumerate(pattern.children):
                self.bind(child, self.member(value, str(number), child), scope, declared)
        elif kind == "rest_pattern" and pattern.children:
            self.bind(pattern.children[0], value, scope, declared)
        elif kind == "member_expression":
            base, prop = pattern.field("object"), pattern.field("property")
            if base is not None and prop is not None and base.type in ("identifier", "this"):
                scope.declare(f"{base.text}.{prop.text}", value)
                inside = scope.find(base.text + ".*") or CONSTANT
                scope.declare(base.text + ".*", join(inside, derived(value)))

    def bind_property(self, child: Node, value: Value, scope: Scope, declared: bool) -> None:
        key, inner = child.field("key"), child.field("value")
        if child.type == "pair_pattern" and key is not None and inner is not None:
            self.bind(inner, self.member(value, key.text, child), scope, declared)
        elif child.type == "rest_pattern":
            self.bind(child, value, scope, declared)
        else:
            name = (child.field("left") or child).text
            self.bind(child, self.member(value, name, child), scope, declared)

    # Statements. Each tells whether what follows it is not reached.

    def block(self, nodes: list[Node], scope: Scope) -> bool:
        late = [node for node in nodes if _declared(node) is not None]
        for node in late:
            function = _declared(node)
            name = function.field("name") if function is not None else None
            if function is not None and name is not None:
                scope.declare(name.text, Value(functions=(function.start,)))
        ended = False
        for node in nodes:
            if _declared(node) is None:
                ended = self.statement(node, scope) or ended
        for node in late:
            function = _declared(node)
            if function is not None:
                self.define(function, scope, [])
        return ended

    def statement(self, node: Node, scope: Scope) -> bool:
        self.steps -= 1
        if self.depth > 250 or self.steps < 0:
            self.cut = True
            return False
        self.depth += 1
        try:
            method = getattr(self, f"do_{node.type}", None)
            if method is not None:
                return bool(method(node, scope))
            self.evaluate(node, scope)
            return node.type in ENDS or node.head(13) == "process.exit("
        finally:
            self.depth -= 1

    def do_statement_block(self, node: Node, scope: Scope) -> bool:
        return self.block(node.children, scope)

    def do_lexical_declaration(self, node: Node, scope: Scope) -> bool:
        for child in node.children:
            name, value = child.field("name"), child.field("value")
            if name is not None:
                self.bind(name, self.evaluate(value, scope) if value is not None else CONSTANT, scope, True)
                self.fields(name, value, scope)
        return False

    do_variable_declaration = do_lexical_declaration

    def do_return_statement(self, node: Node, scope: Scope) -> bool:
        value = self.evaluate(node.children[0], scope) if node.children else CONSTANT
        value = scope.remembered(value, rules.EVERY)
        if node.children:
            self.returns(value, scope)
        return True

    def do_if_statement(self, node: Node, scope: Scope) -> bool:
        condition = node.field("condition")
        self.evaluate(condition, scope)
        branches = []
        for name, holds in (("consequence", True), ("alternative", False)):
            inner = scope.branch()
            self.clear(inner, guards(condition, holds))
            branch = node.field(name)
            if branch is None or not self.statement(branch, inner):
                branches.append(inner)
        if branches:
            scope.become(branches)
        return not branches

    def do_else_clause(self, node: Node, scope: Scope) -> bool:
        return bool(node.children) and self.statement(node.children[0], scope)

    def do_while_statement(self, node: Node, scope: Scope) -> bool:
        condition, body = node.field("condition"), node.field("body")
        self.evaluate(condition, scope)
        inner = scope.branch()
        self.clear(inner, guards(condition, True))
        if body is not None:
            self.statement(body, inner)
        scope.become([scope.branch(), inner])
        return False

    def do_do_statement(self, node: Node, scope: Scope) -> bool:
        body = node.field("body")
        if body is not None:
            self.statement(body, scope)
        self.evaluate(node.field("condition"), scope)
        return False

    def do_for_statement(self, node: Node, scope: Scope) -> bool:
        for name in ("initializer", "condition", "body", "increment"):
            part = node.field(name)
            if part is not None:
                self.statement(part, scope)
        return False

    def do_for_in_statement(self, node: Node, scope: Scope) -> bool:
        left, right, body = node.field("left"), node.field("right"), node.field("body")
        value = self.evaluate(right, scope)
        if left is not None:
            self.bind(left, derived(value), scope, True)
        if body is not None:
            copied = _copies(body, left) if value.items else None
            if copied is not None:
                self.reach(Sink("prototype-pollution", None), value, copied, scope)
            self.statement(body, scope)
        return False

    def do_try_statement(self, node: Node, scope: Scope) -> bool:
        body, handler, last = node.field("body"), node.field("handler"), node.field("finalizer")
        inner, failed = scope.branch(), scope.branch()
        ended = body is not None and self.statement(body, inner)
        branches = [] if ended else [inner]
        if handler is not None:
            parameter, block = handler.field("parameter"), handler.field("body")
            if parameter is not None:
                self.bind(parameter, UNKNOWN, failed, True)
            if block is not None and not self.statement(block, failed):
                branches.append(failed)
        if branches:
            scope.become(branches)
        if last is not None:
            for child in last.children:
                self.statement(child, scope)
        return not branches

    def do_switch_statement(self, node: Node, scope: Scope) -> bool:
        self.evaluate(node.field("value"), scope)
        body = node.field("body")
        branches = [scope.branch()]
        for case in body.children if body is not None else ():
            inner = scope.branch()
            self.block(case.children, inner)
            branches.append(inner)
        scope.become(branches)
        return False

    def do_labeled_statement(self, node: Node, scope: Scope) -> bool:
        body = node.field("body")
        return body is not None and self.statement(body, scope)

    def do_export_statement(self, node: Node, scope: Scope) -> bool:
        for child in node.children:
            self.statement(child, scope)
        return False

    def do_class_declaration(self, node: Node, scope: Scope) -> bool:
        self.evaluate(node.field("body"), scope)
        return False

    def do_import_statement(self, node: Node, scope: Scope) -> bool:
        source = literal(
            node.field("source") or next((it.field("source") for it in node.children if it.field("source")), None)
        )
        module = module_name(source or "")
        constant = bool(MARKUP_FILE.search(source or ""))
        for it in node.walk():
            name, alias = it.field("name"), it.field("alias")
            if it.type == "import_specifier" and name is not None:
                full = f"{module}.{name.text}" if module else ""
                scope.declare((alias or name).text, Value(name=full.replace(".default", "")))
            elif it.type == "identifier" and it.parent is not None and it.parent.type != "import_specifier":
                scope.declare(it.text, Value(name=module, constant=constant))
        return False


def _declared(node: Node) -> Node | None:
    """The function that a statement declares, also an exported one."""
    inner = node.field("declaration") if node.type == "export_statement" else node
    if inner is not None and inner.type in ("function_declaration", "generator_function_declaration"):
        return inner
    return None


def _copies(body: Node, key: Node | None) -> Node | None:
    """The assignment that sets a property named by the loop, when nothing keeps out the dangerous names."""
    if key is None or PROTECTED.search(body.head()):
        return None
    for node in body.walk():
        left = node.field("left") if node.type == "assignment_expression" else None
        index = left.field("index") if left is not None else None
        if index is not None and index.text == key.text:
            return node
    return None
