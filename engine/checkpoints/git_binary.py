"""Git's binary patch format: base85 lines over a zlib stream of the whole content, or of a delta to it.

What `git apply` reads as `GIT binary patch`; the delta is the one of pack files: copies out of the old
content and insertions. Written here because git is never run on a tree that a step wrote.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

MAX_DELTA_BYTES: Final = 16 << 20
"""Larger contents are given whole."""

MAX_SEARCH_BYTES: Final = 2 << 20
"""So much between a common beginning and end is searched for moved blocks; beyond it is inserted whole."""

_LINE: Final = 52
_BLOCK: Final = 16
_MAX_COPY: Final = 0xFFFF
_MAX_INSERT: Final = 127


def literal(size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines that give a content of `size` bytes whole, and the empty line after them."""
    yield b"literal %d\n" % size
    yield from _encoded(chunks)


def delta(old: bytes, new: bytes) -> list[bytes] | None:
    """The lines that give `new` as a delta to `old`; None when that is no shorter than giving it whole."""
    if max(len(old), len(new)) > MAX_DELTA_BYTES or not old or not new:
        return None
    instructions = _varint(len(old)) + _varint(len(new)) + b"".join(_instructions(old, new))
    if len(zlib.compress(instructions)) >= len(zlib.compress(new)):
        return None
    return [b"delta %d\n" % len(instructions), *_encoded([instructions])]


def _encoded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Base85 lines of the zlib stream, each with its length in front, ended by an empty line."""
    rest = b""
    for part in _deflated(chunks):
        rest += part
        whole = len(rest) - len(rest) % _LINE
        for at in range(0, whole, _LINE):
            yield _encoded_line(rest[at : at + _LINE])
        rest = rest[whole:]
    if rest:
        yield _encoded_line(rest)
    yield b"\n"


def _deflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj()
    for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()


def _encoded_line(data: bytes) -> bytes:
    length = len(data) + ord("A") - 1 if len(data) <= 26 else len(data) - 26 + ord("a") - 1
    return bytes([length]) + base64.b85encode(data, pad=True) + b"\n"


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _instructions(old: bytes, new: bytes) -> Iterator[bytes]:
    start = _common_start(memoryview(old), memoryview(new))
    end = _common_start(memoryview(old[start:][::-1]), memoryview(new[start:][::-1]))
    yield from _copy(0, start)
    middle_old, middle_new = old[start : len(old) - end], new[start : len(new) - end]
    if max(len(middle_old), len(middle_new)) <= MAX_SEARCH_BYTES:
        yield from _searched(middle_old, middle_new, start)
    else:
        yield from _insert(middle_new)
    yield from _copy(len(old) - end, end)


def _searched(old: bytes, new: bytes, offset: int) -> Iterator[bytes]:
    """Copies of blocks of `old`, wherever they are in `new`; `offset` is where `old` begins."""
    places: dict[bytes, int] = {}
    for at in range(0, len(old) - _BLOCK + 1, _BLOCK):
        places.setdefault(old[at : at + _BLOCK], at)
    old_view, new_view = memoryview(old), memoryview(new)
    at = pending = 0
    while at <= len(new) - _BLOCK:
        place = places.get(new[at : at + _BLOCK])
        if place is None:
            at += 1
            continue
        length = _BLOCK + _common_start(old_view[place + _BLOCK :], new_view[at + _BLOCK :])
        yield from _insert(new[pending:at])
        yield from _copy(offset + place, length)
        at = pending = at + length
    yield from _insert(new[pending:])


def _copy(start: int, length: int) -> Iterator[bytes]:
    while length:
        size = min(length, _MAX_COPY)
        code = 0x80
        arguments = bytearray()
        for bit, value in enumerate((*start.to_bytes(4, "little"), *size.to_bytes(3, "little"))):
            if value:
                code |= 1 << bit
                arguments.append(value)
        yield bytes([code]) + bytes(arguments)
        start, length = start + size, length - size


def _insert(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), _MAX_INSERT):
        piece = data[at : at + _MAX_INSERT]
        yield bytes([len(piece)]) + piece


def _common_start(one: memoryview, other: memoryview) -> int:
    """How many bytes both begin with; by halves, so that comparing is done outside of Python."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
