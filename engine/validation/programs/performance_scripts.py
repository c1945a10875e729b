"""What is known of a JavaScript file by its text: what is done round by round, and what names stand for.

A *round* is one pass of a loop, or one call of a function that is handed to `map`, `forEach` and the like. A name is
looked up in the blocks around it. Nothing is followed from one function into another.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.validation.programs.javascript_tree import Node, literal

FUNCTIONS = frozenset(
    [
        "arrow_function",
        "function_declaration",
        "function_expression",
        "generator_function",
        "generator_function_declaration",
        "method_definition",
    ]
)
LOOPS = frozenset(["for_in_statement", "for_statement", "while_statement", "do_statement"])
BLOCKS = frozenset(["program", "statement_block", "switch_body", "class_body", *FUNCTIONS, *LOOPS])
CALLBACKS = frozenset(
    ["every", "filter", "find", "findIndex", "flatMap", "forEach", "map", "reduce", "reduceRight", "some", "sort"]
)
ARRAYS = frozenset(["filter", "flat", "flatMap", "map", "split"])
MAKERS = frozenset(["Array.from", "Array.of", "Object.entries", "Object.keys", "Object.values"])
GROWING = frozenset(["push", "unshift", "splice"])
LONG = 20
"""So many written elements are worth a Set."""

STEPS = 100_000
STEPS_PER_NODE = 60


class TooIntricateError(Exception):
    """Judging the file takes more work than its size is worth."""


class Round:
    """What is repeated: a loop, or the call of a function for each element; and what is around it.

    over: what gives the elements, None when there is no such
    thing. function: whether it is a function that is called.
    """

    def __init__(self, node: Node, outer: Round | None, over: Node | None, function: bool) -> None:
        self.node = node
        self.outer = outer
        self.over = over
        self.function = function

    def around(self) -> Iterator[Round]:
        here: Round | None = self
        while here is not None:
            yield here
            here = here.outer


class Rounds:
    """A parsed file. rounds: for each node in one, by its identity, the innermost."""

    def __init__(self, root: Node) -> None:
        self.nodes: list[Node] = []
        self.rounds: dict[int, Round] = {}
        self.declared: dict[int, dict[str, Node | None]] = {}
        self.grown: set[str] = set()
        self.index(root)
        self.steps = STEPS + STEPS_PER_NODE * len(self.nodes)

    def spend(self, steps: int) -> None:
        """Count work.

        Raises:
          TooIntricateError: it is far more than a file of this size takes.
        """
        self.steps -= steps
        if self.steps < 0:
            raise TooIntricateError

    def index(self, root: Node) -> None:
        waiting: list[tuple[Node, Round | None, Node]] = [(root, None, root)]
        while waiting:
            node, around, block = waiting.pop()
            self.nodes.append(node)
            if around is not None:
                self.rounds[id(node)] = around
            self.declare(node, block)
            inner = node if node.type in BLOCKS else block
            if node.type in FUNCTIONS:
                over = callback_of(node)
                around = Round(node, around, over, True) if over is not None else None
            repeated = Round(node, around, node.field("right"), False) if node.type in LOOPS else None
            once = (node.field("right"), node.field("initializer"), node.field("left"))
            for child in reversed(node.children):
                in_rounds = repeated is not None and child not in once
                waiting.append((child, repeated if in_rounds else around, inner))

    def declare(self, node: Node, block: Node) -> None:
        names = self.declared.setdefault(id(block), {})
        if node.type == "variable_declarator":
            name = node.field("name")
            if name is not None and name.type == "identifier":
                names[name.text] = node
            elif name is not None:
                names.update(dict.fromkeys(identifiers(name)))
        elif node.type == "for_in_statement" or node.type in FUNCTIONS:
            own = self.declared.setdefault(id(node), {})
            for it in (node.field("left"), node.field("parameters"), node.field("parameter")):
                own.update(dict.fromkeys(identifiers(it) if it is not None else ()))
        elif node.type == "call_expression":
            receiver, method = parts(node)
            if receiver is not None and method in GROWING and receiver.type == "identifier":
                self.grown.add(receiver.text)

    def declaration(self, name: Node) -> Node | None:
        """The declarator of a variable; None for parameters and what is not known."""
        text = name.text
        here = name.parent
        while here is not None:
            self.spend(1)
            names = self.declared.get(id(here))
            if names is not None and text in names:
                return names[text]
            here = here.parent
        return None

    def walk(self, top: Node, functions: bool = True) -> Iterator[Node]:
        """`top` and all below. functions: also what is in functions."""
        waiting = list(reversed(top.children))
        yield top
        while waiting:
            node = waiting.pop()
            self.spend(1)
            yield node
            if functions or node.type not in FUNCTIONS:
                waiting.extend(reversed(node.children))

    def is_array(self, name: Node) -> bool:
        """The variable is an array of more than a few written elements."""
        made = self.declaration(name)
        value = made.field("value") if made is not None else None
        if value is None:
            return False
        if value.type == "array":
            return name.text in self.grown or len(value.children) >= LONG
        if value.type == "new_expression":
            return called(value, "constructor") == "Array"
        if value.type != "call_expression":
            return False
        receiver, method = parts(value)
        if method in ARRAYS and receiver is not None:
            return not (method == "split" and literal(receiver) is not None) and not self.few(receiver)
        return called(value) in MAKERS

    def few(self, node: Node | None) -> bool:
        """An array that is written out, and short."""
        if node is not None and node.type == "identifier" and node.text not in self.grown:
            made = self.declaration(node)
            node = made.field("value") if made is not None else None
        return (
            node is not None and node.type == "array" and not any(it.type == "spread_element" for it in node.children)
        )

    def bounded(self, around: Round) -> bool:
        """The file says how often it is repeated: over what is written out, or up to a small number."""
        if around.over is not None:
            return self.few(around.over)
        condition = around.node.field("condition") if around.node.type == "for_statement" else None
        limit = condition.field("right") if condition is not None else None
        return limit is not None and limit.type == "number" and len(limit.text) <= 2


def identifiers(top: Node) -> list[str]:
    return [it.text for it in top.walk() if it.type in ("identifier", "shorthand_property_identifier_pattern")]


def parts(call: Node) -> tuple[Node | None, str]:
    """The object and the name of the method of a call; no object and "" when it calls no method."""
    function = call.field("function")
    if function is None or function.type != "member_expression":
        return None, ""
    name = function.field("property")
    return function.field("object"), name.text if name is not None else ""


def called(call: Node, field: str = "function") -> str:
    """What a call calls, as it is written."""
    function = call.field(field)
    return function.head(100) if function is not None else ""


def arguments(call: Node) -> list[Node]:
    given = call.field("arguments")
    return given.children if given is not None else []


def callback_of(function: Node) -> Node | None:
    """What the function is called for each element of; None when it is no such function."""
    given = function.parent
    call = given.parent if given is not None and given.type == "arguments" else None
    if call is None or call.type != "call_expression" or arguments(call)[0] is not function:
        return None
    receiver, method = parts(call)
    return receiver if method in CALLBACKS else None


def bare(node: Node | None) -> Node | None:
    """What stands in the parentheses."""
    while node is not None and node.type == "parenthesized_expression" and node.children:
        node = node.children[0]
    return node
