"""Which values a condition makes safe, when it holds or when it does not. Pure functions over the tree."""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.validation.programs.javascript_tree import Node, literal

ALL = frozenset({"*"})
PATH = frozenset({"path-traversal"})
ADDRESS = frozenset({"ssrf", "open-redirect"})
OBJECT = frozenset({"nosql-injection", "prototype-pollution"})

MEMBERSHIP = frozenset({"includes", "has", "hasOwnProperty", "hasOwn", "contains", "some", "indexOf", "get"})
VALIDATOR = re.compile(r"^_?(?:is|valid|check|allow|has|assert|ensure|verify|match)", re.I)
OPEN_PREFIX = frozenset({"/", "http", "http:", "https", "https:", "http://", "https://"})
EQUAL = {"===": True, "==": True, "!==": False, "!=": False}
MAX_PARTS = 50


class Guard(NamedTuple):
    """The expression that is safe for the rules; `*` stands for all rules."""

    node: Node
    rules: frozenset[str]


def guards(condition: Node | None, holds: bool) -> list[Guard]:
    """What is known to be safe where `condition` holds, or does not."""
    found: list[Guard] = []
    waiting = [(condition, holds)]
    while waiting and len(found) < MAX_PARTS:
        node, truth = waiting.pop()
        if node is None:
            continue
        operator = node.fields["operator"].text if "operator" in node.fields else ""
        if node.type in ("parenthesized_expression", "await_expression", "as_expression"):
            waiting.append((node.children[0] if node.children else None, truth))
        elif node.type == "unary_expression" and operator == "!":
            waiting.append((node.field("argument"), not truth))
        elif node.type == "binary_expression" and operator == ("&&" if truth else "||"):
            waiting += [(node.field("left"), truth), (node.field("right"), truth)]
        elif node.type == "binary_expression":
            found += _comparison(node, operator, truth)
        elif node.type == "call_expression":
            found += _call(node, truth)
    return found


def _comparison(node: Node, operator: str, truth: bool) -> list[Guard]:
    left, right = node.field("left"), node.field("right")
    if left is None or right is None:
        return []
    if operator == "in":
        return [Guard(left, ALL)] if truth else []
    if left.type == "call_expression" and _method(left) in ("indexOf", "search", "lastIndexOf"):
        number = right.text
        found = (operator in ("!==", "!=", ">") and number == "-1") or (operator == ">=" and number == "0")
        missing = (operator in ("===", "==") and number == "-1") or (operator == "<" and number == "0")
        start = number == "0" and EQUAL.get(operator) is truth
        if start:
            return _call(left, True, "startsWith")
        return _call(left, truth if found else not truth) if found or missing else []
    if operator not in EQUAL or EQUAL[operator] is not truth:
        return []
    for one, other in ((left, right), (right, left)):
        if one.type == "unary_expression" and one.text.startswith("typeof"):
            argument = one.field("argument")
            kind = literal(other)
            rules = ALL if kind in ("number", "boolean", "bigint") else OBJECT
            return [Guard(argument, rules)] if argument is not None and kind != "object" else []
        if (
            literal(other)
            or other.type == "number"
            or re.search(r"(?i)^[A-Z_]{3,}$|\.origin$|\.host(?:name)?$|allowed", other.head(200))
        ):
            return [Guard(one, ALL)]
    return []


def _method(node: Node) -> str:
    function = node.field("function")
    prop = function.field("property") if function is not None and function.type == "member_expression" else None
    return prop.text if prop is not None else ""


def _call(node: Node, truth: bool, method: str = "") -> list[Guard]:
    function, arguments = node.field("function"), node.field("arguments")
    given = arguments.children if arguments is not None else []
    if function is None:
        return []
    method = method or _method(node)
    receiver = function.field("object")
    if receiver is None:
        return [Guard(it, ALL) for it in given] if truth and VALIDATOR.match(function.text) else []
    text = literal(given[0]) if given else None
    if method in ("includes", "startsWith", "indexOf", "match") and text is not None and not truth:
        if method == "startsWith" and text in ("//", "http"):
            return [Guard(receiver, ADDRESS)]
        return [Guard(receiver, PATH)] if re.search(r"\.\.|/|\\|^0$", text) else []
    if method == "startsWith" and truth:
        pinned = text is None or (text not in OPEN_PREFIX and not text.endswith(":"))
        return [Guard(receiver, PATH | (ADDRESS if pinned else frozenset()))]
    if method == "endsWith" and truth:
        return [Guard(receiver, ADDRESS)]
    if method == "test" or method == "match":
        pattern, subject = (
            (receiver, given[0] if given else None) if method == "test" else (given[0] if given else None, receiver)
        )
        return _pattern(pattern, subject, truth)
    if method in MEMBERSHIP and truth:
        return [Guard(it, ALL) for it in given] + ([Guard(receiver, PATH)] if method == "indexOf" else [])
    if VALIDATOR.match(method) and truth:
        return [Guard(it, ALL) for it in given]
    return []


def _pattern(pattern: Node | None, subject: Node | None, truth: bool) -> list[Guard]:
    if pattern is None or subject is None:
        return []
    if pattern.type != "regex":
        return [Guard(subject, ALL)] if truth else []
    body = pattern.text
    if truth and body.startswith("/^") and re.search(r"\$/\w*$", body) and ".*" not in body:
        return [Guard(subject, ALL)]
    if truth and re.match(r"/\^https:\\/\\/[\w\\.-]+\\/", body):
        return [Guard(subject, ADDRESS)]
    if not truth and body.startswith("/[^"):
        return [Guard(subject, ALL)]
    return [Guard(subject, PATH)] if not truth and r"\.\." in body else []
