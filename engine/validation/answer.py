"""Strict reading of JSON that untrusted tools print. Pure; every fault is a `ToolOutputError`, nothing else.

Half surrogate pairs are replaced, numbers must be whole, positions are never negative, unknown keys are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.validation.finding import bounded
from engine.validation.validator import ToolOutputError

MAX_POSITION: Final = 2**31
MAX_RECORDS: Final = 50_000
MAX_PATH_CHARS: Final = 4096


def read_json(data: bytes) -> object:
    """The one JSON value in `data`."""
    try:
        value: object = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ToolOutputError("its output is not JSON") from error
    return value


def read_json_lines(data: bytes) -> list[Mapping[str, Any]]:
    """One JSON object on each line, of at most MAX_RECORDS; blank lines count as nothing."""
    lines = [line for line in data.split(b"\n") if line.strip()]
    if len(lines) > MAX_RECORDS:
        raise ToolOutputError(f"its output has more than {MAX_RECORDS} lines")
    return [mapping(read_json(line)) for line in lines]


def mapping(value: object) -> Mapping[str, Any]:
    """`value`, which must be an object."""
    if not isinstance(value, dict):
        raise ToolOutputError("its output has something else where an object should be")
    return value


def sequence(value: object) -> Sequence[object]:
    """`value`, which must be an array."""
    if not isinstance(value, list):
        raise ToolOutputError("its output has something else where an array should be")
    return value


def text(source: Mapping[str, Any], key: str, *, limit: int | None = None) -> str:
    """The string at `key`, bounded."""
    value = source.get(key)
    if not isinstance(value, str):
        raise ToolOutputError(f"its output lacks the text {key!r}")
    return bounded(value) if limit is None else bounded(value, limit)


def optional_text(source: Mapping[str, Any], key: str) -> str:
    """The string at `key`, "" when it is absent or null."""
    return "" if source.get(key) is None else text(source, key)


def path(source: Mapping[str, Any], key: str) -> str:
    """The file name at `key`: not empty, and with no half surrogate pairs but those that carry a byte."""
    value = source.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_PATH_CHARS or "\0" in value:
        raise ToolOutputError(f"its output lacks the file name {key!r}")
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ToolOutputError(f"its output has a file name {key!r} that cannot be one") from error
    return value


def whole(source: Mapping[str, Any], key: str) -> int:
    """The whole number at `key`, which may be negative."""
    value = source.get(key)
    if type(value) is not int or abs(value) > MAX_POSITION:
        raise ToolOutputError(f"its output lacks the number {key!r}")
    return value


def position(source: Mapping[str, Any], key: str) -> int:
    """The line or column at `key`; 0 when it is absent, null or negative."""
    return 0 if source.get(key) is None else max(0, whole(source, key))
