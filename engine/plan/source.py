"""A plan's text as a tree that remembers where each key and value stood. Pure records and their way to data.

The readers of YAML and JSON both end here, so that one place turns a file into data and one place finds the
line and column of a fault. A value written without quotes that is not plain text (`12`, `true`, `no value`)
stays a `Bare` scalar that keeps its text: what it means is for the key's type to say, so `PORT: 8080` and
`VERSION: 1.10` in an environment are the text as written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MAX_BYTES: Final = 4 << 20
"""The largest plan file."""
MAX_DEPTH: Final = 32
"""How deep lists and mappings may be nested."""
MAX_VALUES: Final = 300_000
"""How many keys and values a plan may have."""

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")

Loc = tuple[str | int, ...]
"""Where a value is: keys and indexes from the top."""


class Kind(StrEnum):
    """What an unquoted scalar looks like."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Bare:
    """An unquoted scalar. as_text: it may stand for its own text where text is expected (YAML, not JSON)."""

    text: str
    kind: Kind
    as_text: bool


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; both from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Misread:
    """Something wrong with the text itself, before it is known what a key means. key: path of the key, or ""."""

    position: Position
    message: str
    hint: str = ""
    key: str = ""


class UnreadableError(Exception):
    """The text cannot be read any further than `misread`; never leaves `engine.plan.parse`."""

    def __init__(self, misread: Misread) -> None:
        super().__init__(misread.message)
        self.misread = misread


@dataclass(frozen=True, slots=True)
class Scalar:
    """A leaf."""

    position: Position
    value: str | Bare


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    position: Position
    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping: for each key, where the key stood and its value."""

    position: Position
    entries: dict[str, tuple[Position, Node]] = field(default_factory=dict)


Node = Scalar | Items | Entries
Data = str | Bare | list["Data"] | dict[str, "Data"]


def to_data(node: Node) -> Data:
    """The tree without its places."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Items):
        return [to_data(item) for item in node.items]
    return {key: to_data(value) for key, (_, value) in node.entries.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fault is shown: a position, and the key as a person would name it."""

    position: Position
    key: str


def locate(root: Node, loc: Sequence[str | int], *, at_key: bool = False) -> Place:
    """The place of the value at `loc`, or of its key when `at_key`.

    Parts of `loc` that the tree does not have are passed over, so that the place is that of the nearest
    thing around it; the key still names a missing last part.
    """
    node, position, path = root, root.position, ""
    for number, part in enumerate(loc):
        last = number == len(loc) - 1
        if isinstance(node, Items) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            position, path = node.position, f"{path}[{part}]"
        elif isinstance(node, Entries) and isinstance(part, str) and part in node.entries:
            key_position, node = node.entries[part]
            position = key_position if at_key and last else node.position
            path = key_path(path, part)
        elif last and isinstance(node, Entries) and isinstance(part, str):
            path = key_path(path, part)
    return Place(position, path)


def key_path(path: str, key: str) -> str:
    """`path` and then `key`, in quotes when it is not a plain word."""
    if not _PLAIN_KEY.fullmatch(key):
        cut = key if len(key) <= 40 else key[:37] + "..."
        escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
        return f'{path}["{escaped}"]'
    return f"{path}.{key}" if path else key


def describe(value: object) -> str:
    """What a value is, for "expected ..., found ...": the words of someone who writes plans."""
    match value:
        case Bare(kind=Kind.NULL) | None:
            return "nothing"
        case Bare(kind=Kind.BOOLEAN, text=text):
            return text
        case Bare(text=text):
            return f"the number {text}" if len(text) <= 30 else "a number"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}" if abs(value) < 1e30 else "a number"
        case str():
            return "text"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"
