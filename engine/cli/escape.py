"""What came from a step, a plan, a file name or an error, made safe to print: nothing in it can move the cursor,
recolour, retitle, reorder or hide text. Every command passes such text through one of these functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sandbox.workspace.display import display

TAB_STOPS: Final = 8
MAX_LINE_BYTES: Final = 16 * 1024
"""A longer line is shown in pieces, so that output without newlines needs no memory."""


def name_text(name: bytes) -> str:
    """A file's name on one line: as `one_line`, and backslashes doubled, so that no two names look the same."""
    return display(name)


def one_line(text: str | bytes) -> str:
    """`text` on one line; newlines, tabs and everything doubtful as escapes. Empty text stays empty.

    Backslashes stay what they are: text is full of them, and messages carry names that are escaped already.
    """
    data = text if isinstance(text, bytes) else _encoded(text)
    return "\\".join(display(part) if part else "" for part in data.split(b"\\"))


def lines(text: str | bytes) -> list[str]:
    """`text` line by line (a last newline ends the last line), tabs expanded, the rest of each line escaped."""
    data = text if isinstance(text, bytes) else _encoded(text)
    return list(shown_lines([data]))


def block(text: str | bytes) -> str:
    """`lines` joined again."""
    return "\n".join(lines(text))


def shown_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The escaped lines of a stream that arrives in chunks; a chunk may end anywhere."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        *whole, rest = rest.split(b"\n")
        for line in whole:
            yield from _pieces(line)
        while len(rest) > MAX_LINE_BYTES:
            cut = _cut(rest)
            yield _shown_line(rest[:cut])
            rest = rest[cut:]
    if rest:
        yield from _pieces(rest)


def _pieces(line: bytes) -> Iterator[str]:
    line = line.removesuffix(b"\r")
    while len(line) > MAX_LINE_BYTES:
        cut = _cut(line)
        yield _shown_line(line[:cut])
        line = line[cut:]
    yield _shown_line(line)


def _cut(line: bytes) -> int:
    """Where to cut a long line: at MAX_LINE_BYTES, or up to 3 bytes earlier at a character's start."""
    for cut in range(MAX_LINE_BYTES, MAX_LINE_BYTES - 4, -1):
        if line[cut] & 0xC0 != 0x80:
            return cut
    return MAX_LINE_BYTES


def _shown_line(line: bytes) -> str:
    return one_line(line.expandtabs(TAB_STOPS))


def _encoded(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which JSON can carry, becomes bytes that are shown escaped."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def json_text(value: Any, indent: int | None = 2) -> str:
    """JSON in printable ASCII only, so that it is safe on a terminal and in every encoding."""
    return json.dumps(value, indent=indent, ensure_ascii=True, allow_nan=False).replace("\x7f", "\\u007f")


def path_json(path: bytes) -> dict[str, str]:
    """A path as JSON members: `path`, and `path_base64` when it is not UTF-8 and `path` is only its display."""
    try:
        return {"path": path.decode("utf-8")}
    except UnicodeDecodeError:
        from base64 import b64encode

        return {"path": display(path), "path_base64": b64encode(path).decode("ascii")}
