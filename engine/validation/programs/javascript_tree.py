"""Parses JavaScript and TypeScript into a small tree of our own, and reads the comments that silence findings.

Needs tree-sitter and its grammars. The tree is made without recursion, types are left out, and comments stand apart.
"""

from __future__ import annotations

import importlib
import os
import re
import resource
from collections.abc import Iterator
from typing import Any

GRAMMARS = {
    b".js": ("tree_sitter_javascript", "language"),
    b".mjs": ("tree_sitter_javascript", "language"),
    b".cjs": ("tree_sitter_javascript", "language"),
    b".jsx": ("tree_sitter_javascript", "language"),
    b".ts": ("tree_sitter_typescript", "language_typescript"),
    b".mts": ("tree_sitter_typescript", "language_typescript"),
    b".cts": ("tree_sitter_typescript", "language_typescript"),
    b".tsx": ("tree_sitter_typescript", "language_tsx"),
}

LEFT_OUT = frozenset(
    [
        "type_annotation",
        "type_arguments",
        "type_parameters",
        "interface_declaration",
        "type_alias_declaration",
        "ambient_declaration",
        "function_signature",
        "accessibility_modifier",
        "implements_clause",
    ]
)

NEXT_LINE = re.compile(r"eslint-disable-next-line\b([^*\n]*)")
SAME_LINE = re.compile(r"eslint-disable-line\b([^*\n]*)")
NOSEC = re.compile(r"\bnosec\b")
SECURITY_RULE = re.compile(
    r"security/|no-unsanitized/|xss/|sdl/|no-secrets/|(?:@[\w-]+/)?(?:no-eval|no-implied-eval|no-new-func|no-danger)$"
    r"|react/no-danger|vue/no-v-html|svelte/no-at-html-tags"
)


MINIFIED = re.compile(rb"[.-]min\.[cm]?js$|\.bundle\.js$|\.d\.[cm]?ts$")
MAX_TEXT = 1 << 20
MAX_LINE = 5_000

PARSE_SECONDS = 5
"""Processor time that parsing may take; a file of the greatest size takes less than one."""


class UnparsableError(Exception):
    """The parser does not come to an end with this file."""


class Node:
    """A named node; `fields` also has anonymous ones, such as operators.

    source: the file, in which comments are blank once all of it is parsed.
    """

    __slots__ = ("children", "column", "end", "fields", "line", "parent", "source", "start", "type")

    def __init__(self, made: Any, source: bytearray, parent: Node | None) -> None:
        self.type: str = made.type
        self.start: int = made.start_byte
        self.end: int = made.end_byte
        row, column = made.start_point
        self.line: int = row + 1
        self.column: int = column + 1
        self.source = source
        self.parent = parent
        self.children: list[Node] = []
        self.fields: dict[str, Node] = {}

    @property
    def text(self) -> str:
        return self.source[self.start : self.end].decode("utf-8", "replace")

    def head(self, limit: int = 20_000) -> str:
        """The beginning of the text, for what is looked at again and again."""
        return self.source[self.start : min(self.end, self.start + limit)].decode("utf-8", "replace")

    def field(self, name: str) -> Node | None:
        return self.fields.get(name)

    def walk(self) -> Iterator[Node]:
        """This node and all below, in the order of the text."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


class Script:
    """A parsed file."""

    def __init__(self, root: Node, comments: list[Node]) -> None:
        self.root = root
        self.silences = silences(comments)
        for it in comments:
            root.source[it.start : it.end] = re.sub(rb"[^\n]", b" ", root.source[it.start : it.end])

    def silenced(self, line: int, rule: str) -> bool:
        words = self.silences.get(line)
        if words is None:
            return False
        return not words or any(word == rule or SECURITY_RULE.match(word) for word in words)


def written_by_hand(data: bytes, path: bytes) -> bool:
    """The file is no product of a tool, and no larger than what people write."""
    return len(data) <= MAX_TEXT and max(map(len, data.split(b"\n"))) <= MAX_LINE and not MINIFIED.search(path)


def ends(parser: Any, data: bytes) -> bool:
    """Parsing comes to an end, as tried in a process of its own.

    There is faulty TypeScript with which the parser loops for ever and takes more and more memory; it cannot be
    interrupted, only killed.
    """
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (PARSE_SECONDS, PARSE_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            parser.parse(data)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def parse(data: bytes, suffix: bytes) -> Script:
    """The file's tree; faulty source gives a tree with gaps.

    Raises:
      ImportError: tree-sitter or the grammar is not there.
      UnparsableError: the parser does not come to an end.
    """
    module, function = GRAMMARS[suffix]
    tree_sitter = importlib.import_module("tree_sitter")
    language = tree_sitter.Language(getattr(importlib.import_module(module), function)())
    parser = tree_sitter.Parser(language)
    if not ends(parser, data):
        raise UnparsableError
    cursor = parser.parse(data).walk()
    comments: list[Node] = []
    source = bytearray(data)
    root = parent = Node(cursor.node, source, None)
    if not cursor.goto_first_child():
        return Script(root, comments)
    while True:
        made = cursor.node
        name = cursor.field_name
        entered = False
        if made.type in ("comment", "html_comment"):
            comments.append(Node(made, source, parent))
        elif (made.is_named or name) and made.type not in LEFT_OUT:
            node = Node(made, source, parent)
            if name:
                parent.fields.setdefault(name, node)
            if made.is_named:
                parent.children.append(node)
                entered = cursor.goto_first_child()
                parent = node if entered else parent
        while not entered and not cursor.goto_next_sibling():
            if not cursor.goto_parent() or parent.parent is None:
                return Script(root, comments)
            parent = parent.parent
        if entered:
            continue


def silences(comments: list[Node]) -> dict[int, list[str]]:
    """For each line that a comment silences the rules it names; no rules are all rules."""
    found: dict[int, list[str]] = {}
    for comment in comments:
        text = comment.text
        if NOSEC.search(text):
            found[comment.line] = []
        for pattern, offset in ((SAME_LINE, 0), (NEXT_LINE, 1 + text.count("\n"))):
            match = pattern.search(text)
            if match:
                names = match[1].split("--")[0].replace(",", " ").split()
                found[comment.line + offset] = [] if not names else [*found.get(comment.line + offset, ["-"]), *names]
    return found


def literal(node: Node | None) -> str | None:
    """The text of a string without substitutions; None for anything else."""
    if node is None:
        return None
    if node.type == "string" or (
        node.type == "template_string" and not any(it.type == "template_substitution" for it in node.children)
    ):
        return node.text[1:-1]
    return None


def entries(node: Node | None) -> dict[str, Node]:
    """The values of an object literal by their keys; `{a}` is itself."""
    found: dict[str, Node] = {}
    for child in node.children if node is not None and node.type == "object" else ():
        key = child.field("key")
        value = child.field("value")
        if child.type == "pair" and key is not None and value is not None:
            found[literal(key) or key.text] = value
        elif child.type == "shorthand_property_identifier":
            found[child.text] = child
    return found
