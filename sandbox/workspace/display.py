"""How names that untrusted code chose are shown to people: one function, used by every message.

A name is bytes. What a terminal or a reader could take for something else is escaped: control
characters, bidirectional and invisible characters, bytes that are not UTF-8, and the backslash
itself, so that two different names never look the same because of an escape.
"""

from __future__ import annotations

import re
from typing import Final

_INVISIBLE: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Characters that Unicode calls printable and no font draws."""

_SHORT: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def display(name: bytes) -> str:
    """`name` for a message: printable text on one line, everything doubtful as an escape.

    `\\n \\r \\t \\\\`, `\\xNN` for a byte that is not UTF-8 or a character below U+0100, else `\\uNNNN`
    or `\\UNNNNNNNN`. The empty name is shown as `.`: it is the root of a tree.
    """
    text = name.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text and (text.isascii() or not _INVISIBLE.search(text)):
        return text or "."
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character.isprintable() and not _INVISIBLE.match(character):
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # one undecodable byte, as surrogateescape carries it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
