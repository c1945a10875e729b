"""YAML to a tree with places, in the small and safe part of YAML that a plan needs. Pure.

libyaml's events are turned into the tree here, one by one: nothing is ever constructed from a tag, an alias
is refused instead of followed, and depth and number of values are bounded while reading. Unquoted scalars are
numbers, `true`/`false` or nothing by the rules of YAML 1.2's core schema; everything else (`no`, `on`, `12:30`,
`2026-01-01`) is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Protocol

import yaml

from engine.plan.refusal import shown
from engine.plan.source import (
    MAX_DEPTH,
    MAX_VALUES,
    Bare,
    Entries,
    Items,
    Kind,
    Misread,
    Node,
    Position,
    Scalar,
    UnreadableError,
    describe,
    key_path,
)

# libyaml where PyYAML was built with it: some twenty times faster, and the same events and marks.
_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader

_NUMBER: Final = re.compile(r"[-+]?(?:0o[0-7]+|0x[0-9a-fA-F]+|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)")
_BOOLEAN: Final = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_QUOTE_FIRST: Final = "a value that begins with one of * & ! % @ ` must be put in quotes"


class _Mark(Protocol):
    line: int
    column: int


def read_yaml(text: str) -> tuple[Node, list[Misread]]:
    """The tree of the one document in `text`, and what had to be refused on the way.

    Raises:
      UnreadableError: the text is not YAML, is nested or has values beyond the bounds, or is empty.
    """
    reader = _Reader(text)
    root = reader.document()
    return root, reader.misread


class _Reader:
    """One pass over the events of one text."""

    def __init__(self, text: str) -> None:
        self._events = _events(text)
        self._values = 0
        self.misread: list[Misread] = []

    def document(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._refuse(_position(event.start_mark), "a second document begins here", "a plan is one document")
                    break
                if event.tags:
                    self._refuse(_position(event.start_mark), "a %TAG directive is not allowed in a plan")
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, "", 1)
        if root is None or (isinstance(root, Scalar) and isinstance(root.value, Bare) and not root.value.text):
            raise UnreadableError(Misread(Position(1, 1), "the file is empty", "a plan begins with version: 1"))
        return root

    def _node(self, event: yaml.Event, path: str, depth: int) -> Node:
        position = _position(event.start_mark)
        self._values += 1
        if self._values > MAX_VALUES:
            raise UnreadableError(Misread(position, f"the file has more than {MAX_VALUES} keys and values"))
        self._refuse_sharing(event, position, path)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(position, _scalar(event))
        if isinstance(event, yaml.AliasEvent):
            return Scalar(position, Bare("", Kind.NULL, True))
        if depth > MAX_DEPTH:
            raise UnreadableError(Misread(position, f"lists and mappings are nested more than {MAX_DEPTH} deep"))
        if isinstance(event, yaml.SequenceStartEvent):
            return self._items(position, path, depth)
        return self._entries(position, path, depth)

    def _refuse_sharing(self, event: yaml.Event, position: Position, path: str) -> None:
        """Anchors, aliases and tags: what could make a small file large, or data into objects."""
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor is None and tag is None:
            return
        name = shown(anchor)[1:-1] if anchor else ""
        hint = f"{_WRITE_OUT}; {_QUOTE_FIRST}"
        if isinstance(event, yaml.AliasEvent):
            self._refuse(position, f"the alias *{name} is not allowed in a plan", hint, path)
        elif name:
            self._refuse(position, f"the anchor &{name} is not allowed in a plan", hint, path)
        if tag is not None:
            shorthand = shown(tag.replace("tag:yaml.org,2002:", "!!"))[1:-1]
            self._refuse(position, f"the tag {shorthand} is not allowed in a plan", _QUOTE_FIRST, path)

    def _items(self, position: Position, path: str, depth: int) -> Items:
        result = Items(position)
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            result.items.append(self._node(event, f"{path}[{len(result.items)}]", depth + 1))
        return result

    def _entries(self, position: Position, path: str, depth: int) -> Entries:
        result = Entries(position)
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key_node = self._node(event, path, depth + 1)
            key = self._key(key_node, result, path)
            value = self._node(next(self._events), path if key is None else key_path(path, key), depth + 1)
            if key is not None and key not in result.entries:
                result.entries[key] = (key_node.position, value)
        return result

    def _key(self, node: Node, mapping: Entries, path: str) -> str | None:
        """The key's text, None when it cannot be one; a fault when it cannot or is there already."""
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, str):
            found = describe(value) if value is not None else "a list or mapping"
            hint = f'put it in quotes: "{value.text[:30]}"' if isinstance(value, Bare) and value.text else ""
            self._refuse(node.position, f"a key must be text, found {found}", hint, path)
            return None
        if value == "<<":
            self._refuse(node.position, "the merge key << is not allowed in a plan", _WRITE_OUT, path)
            return None
        if value in mapping.entries:
            first = mapping.entries[value][0]
            self._refuse(node.position, "the key is there twice", f"first in line {first.line}", key_path(path, value))
        return value

    def _refuse(self, position: Position, message: str, hint: str = "", key: str = "") -> None:
        self.misread.append(Misread(position, message, hint, key))


_WRITE_OUT: Final = "write the value out where it is needed"


def _scalar(event: yaml.ScalarEvent) -> str | Bare:
    text: str = event.value
    if event.style or not event.implicit[0]:
        return text
    if text in _NULL:
        return Bare(text, Kind.NULL, True)
    if text in _BOOLEAN:
        return Bare(text, Kind.BOOLEAN, True)
    if _NUMBER.fullmatch(text):
        return Bare(text, Kind.NUMBER, True)
    return text


def _position(mark: _Mark | None) -> Position:
    return Position(mark.line + 1, mark.column + 1) if mark is not None else Position(1, 1)


def _events(text: str) -> Iterator[yaml.Event]:
    """libyaml's events; its errors in words for people."""
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        position = _position(error.problem_mark or error.context_mark)
        raise UnreadableError(_syntax_fault(position, error, text)) from error
    except yaml.YAMLError as error:
        raise UnreadableError(Misread(Position(1, 1), f"the file is not YAML: {shown(str(error))}")) from error


_SYNTAX_HINTS: Final = (
    ("mapping values are not allowed", "put a value that holds ': ' in quotes, and check the indentation"),
    ("found character '\\t'", "indent with spaces, not tabs"),
    ("found a tab character", "indent with spaces, not tabs"),
    ("that cannot start any token", _QUOTE_FIRST),
    ("did not find expected alphabetic or numeric character", _QUOTE_FIRST),
    ("did not find expected key", "check the indentation, and put values with special characters in quotes"),
    ("did not find expected '-' indicator", "each item of a list begins with '- ' in the same column"),
    ("could not find expected ':'", "write key: value, and check that quotes are closed"),
    ("did not find expected ',' or", "check that brackets and braces are closed and items parted by commas"),
    ("unexpected end of stream", "a quote is not closed"),
)


def _syntax_fault(position: Position, error: yaml.MarkedYAMLError, text: str) -> Misread:
    problem = str(error.problem or error.context or "syntax error")
    hint = next((words for sign, words in _SYNTAX_HINTS if sign in problem), "")
    lines = text.split("\n", position.line)
    indent = lines[position.line - 1][: position.column] if position.line <= len(lines) else ""
    if "\t" in indent and not indent.strip():
        hint = "indent with spaces, not tabs"
    return Misread(position, f"the file is not YAML: {problem}", hint)
