"""JSON to a tree with places. Pure, strict (RFC 8259), bounded in depth and number of values.

The standard library's decoder tells no positions of values, accepts NaN and keeps the last of two equal keys;
hence a reader of our own.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import Final

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
    key_path,
)

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?![0-9A-Za-z_.])")
_WORD: Final = re.compile(r"[A-Za-z_]+")
_WORDS: Final = {"true": Kind.BOOLEAN, "false": Kind.BOOLEAN, "null": Kind.NULL}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def read_json(text: str) -> tuple[Node, list[Misread]]:
    """The tree of the one value in `text`, and what had to be refused on the way.

    Raises:
      UnreadableError: the text is not JSON, or is nested or has values beyond the bounds.
    """
    reader = _Reader(text)
    root = reader.value("", 1)
    reader.end()
    return root, reader.misread


class _Reader:
    """One pass over one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._values = 0
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.misread: list[Misread] = []

    def value(self, path: str, depth: int) -> Node:
        """The value that begins at the next character that is not a space."""
        character, position = self._peek(), self._position()
        self._values += 1
        if self._values > MAX_VALUES:
            raise UnreadableError(Misread(position, f"the file has more than {MAX_VALUES} keys and values"))
        if character in "[{" and character:
            if depth > MAX_DEPTH:
                raise UnreadableError(Misread(position, f"lists and mappings are nested more than {MAX_DEPTH} deep"))
            self._at += 1
            return self._items(position, path, depth) if character == "[" else self._entries(position, path, depth)
        if character == '"':
            return Scalar(position, self._string())
        return Scalar(position, self._bare())

    def end(self) -> None:
        """Nothing may follow."""
        if self._peek():
            raise self._unreadable("text after the end of the plan")

    def _items(self, position: Position, path: str, depth: int) -> Items:
        result = Items(position)
        if self._taken("]"):
            return result
        while True:
            result.items.append(self.value(f"{path}[{len(result.items)}]", depth + 1))
            if self._closed("]"):
                return result

    def _entries(self, position: Position, path: str, depth: int) -> Entries:
        result = Entries(position)
        if self._taken("}"):
            return result
        while True:
            if self._peek() != '"':
                raise self._unreadable("expected a key in double quotes")
            key_position, key = self._position(), self._string()
            if not self._taken(":"):
                raise self._unreadable("expected ':' after the key")
            value = self.value(key_path(path, key), depth + 1)
            if key in result.entries:
                first = result.entries[key][0]
                hint = f"first in line {first.line}, column {first.column}"
                self.misread.append(Misread(key_position, "the key is there twice", hint, key_path(path, key)))
            else:
                result.entries[key] = (key_position, value)
            if self._closed("}"):
                return result

    def _closed(self, bracket: str) -> bool:
        """True at the closing bracket, False after a comma that something follows."""
        if self._taken(bracket):
            return True
        if not self._taken(","):
            raise self._unreadable(f"expected ',' or '{bracket}'")
        if self._peek() == bracket:
            raise self._unreadable("a comma before the closing bracket is not allowed in JSON")
        return False

    def _string(self) -> str:
        match = _STRING.match(self._text, self._at)
        if match is None:
            raise self._unreadable("the text in quotes is not closed, or has a line break or a wrong escape in it")
        text: str = json.loads(match[0])
        if _SURROGATE.search(text):
            raise self._unreadable("half of a surrogate pair stands alone")
        self._at = match.end()
        return text

    def _bare(self) -> Bare:
        number = _NUMBER.match(self._text, self._at)
        if number is not None:
            self._at = number.end()
            return Bare(number[0], Kind.NUMBER, False)
        word = _WORD.match(self._text, self._at)
        if word is not None and word[0] in _WORDS:
            self._at = word.end()
            return Bare(word[0], _WORDS[word[0]], False)
        raise self._unreadable("expected a value")

    def _peek(self) -> str:
        """The next character that is not a space, "" at the end."""
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match is not None else self._at
        return self._text[self._at : self._at + 1]

    def _taken(self, character: str) -> bool:
        if self._peek() != character:
            return False
        self._at += 1
        return True

    def _position(self) -> Position:
        line = bisect_right(self._line_starts, self._at)
        return Position(line, self._at - self._line_starts[line - 1] + 1)

    def _unreadable(self, problem: str) -> UnreadableError:
        found = self._text[self._at : self._at + 20].split("\n")[0]
        where = f", found {shown(found)}" if found else ", found the end of the line or file"
        hint = "JSON has no comments" if found.startswith(("//", "/*", "#")) else ""
        return UnreadableError(Misread(self._position(), f"the file is not JSON: {problem}{where}", hint))
