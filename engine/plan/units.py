"""Sizes and durations as people write them, both ways. Pure; every error says what would be right.

Sizes: whole bytes, or a number with `B`, `kB`/`KB`, `MB`, `GB`, `TB` (powers of 1000) or `KiB`, `MiB`, `GiB`, `TiB`
(powers of 1024). `1G` and `512m` mean different things to different tools and are refused.
Durations: a number of seconds, or parts with `d`, `h`, `m`, `s`, `ms`, largest first: `1h30m`, `2.5s`, `500ms`.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import Decimal
from typing import Final

from engine.plan.refusal import ValueRefusedError, shown

SIZE_UNITS: Final = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
"""Bytes in each unit of size that may be written."""

DURATION_UNITS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
"""Milliseconds in each unit of time that may be written, largest first."""

SIZE_PATTERN: Final = r"^[0-9]{1,15}(\.[0-9]{1,6})? ?(B|[kK]B|[MGT]B|[KMGT]iB)$"
"""A size with its unit, as a regular expression of JSON Schema."""

DURATION_PATTERN: Final = (
    r"^(?=[0-9])" + "".join(rf"([0-9]{{1,15}}(\.[0-9]{{1,6}})?{unit})?" for unit in DURATION_UNITS) + "$"
)
"""A duration with its units, as a regular expression of JSON Schema."""

_SIZE_HINT: Final = "write bytes as a whole number, or a size like 512MiB, 1GiB or 10MB"
_DURATION_HINT: Final = "write seconds as a number, or a duration like 500ms, 2s, 10m or 1h30m"
_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,6})?")
_NUMBER_WITH_UNIT: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([A-Za-z]{1,8})")
_PART: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)([a-z]{1,8})")
_SIXTIES: Final = re.compile(r"[0-9]{1,4}(?::[0-9]{2}){1,2}")
_LARGEST_NUMBER: Final = 10**18


def parse_size(value: str | int) -> int:
    """Bytes of a size such as `1GiB`, `10MB` or `4096`.

    Raises:
      ValueRefusedError: not a size, negative, or not a whole number of bytes.
    """
    if isinstance(value, int):
        if not 0 <= value < _LARGEST_NUMBER:
            raise ValueRefusedError(f"{shown(str(value))} is not a size", _SIZE_HINT)
        return value
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return _whole_bytes(Decimal(text), value)
    match = _NUMBER_WITH_UNIT.fullmatch(text)
    if match is None:
        raise ValueRefusedError(f"{shown(value)} is not a size", _SIZE_HINT)
    number, unit = match.groups()
    if unit not in SIZE_UNITS:
        raise ValueRefusedError(f"{shown(value)} is not a size", _unit_hint(number, unit))
    return _whole_bytes(Decimal(number) * SIZE_UNITS[unit], value)


def _whole_bytes(number: Decimal, value: str) -> int:
    if number != number.to_integral_value():
        raise ValueRefusedError(f"{shown(value)} is not a whole number of bytes", _SIZE_HINT)
    return int(number)


def _unit_hint(number: str, unit: str) -> str:
    """What was meant by a unit that is none: `1G`, `512m`, `1gib`."""
    letter = unit[0].upper()
    if len(unit) == 1 and letter in "KMGT":
        return f"write {number}{letter}iB (powers of 1024) or {number}{letter}B (powers of 1000)"
    for known in SIZE_UNITS:
        if known.lower() == unit.lower():
            return f"write {number}{known}"
    return _SIZE_HINT


def format_size(size_bytes: int) -> str:
    """The shortest exact way to write a size: `1GiB`, `1500B`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % SIZE_UNITS[unit] == 0:
            return f"{size_bytes // SIZE_UNITS[unit]}{unit}"
    return f"{size_bytes}B"


def parse_duration(value: str | float) -> timedelta:
    """The span of a duration such as `500ms`, `10m`, `1h30m` or `2` (seconds). Resolution: one microsecond.

    Raises:
      ValueRefusedError: not a duration, negative, infinite, or a unit twice or out of order.
    """
    if isinstance(value, int | float):
        if not math.isfinite(value) or not 0 <= value < 10**12:
            raise ValueRefusedError(f"{shown(str(value))} is not a duration", _DURATION_HINT)
        return timedelta(seconds=value)
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return _span(Decimal(text) * 1000, value)
    return _span(_sum_of_parts(text, value), value)


def _sum_of_parts(text: str, value: str) -> Decimal:
    """Milliseconds of `1h30m`-like text."""
    total, position, order = Decimal(0), 0, list(DURATION_UNITS)
    while position < len(text):
        match = _PART.match(text, position)
        if match is None or match[2] not in DURATION_UNITS:
            raise ValueRefusedError(f"{shown(value)} is not a duration", _duration_hint(text))
        if match[2] not in order:
            raise ValueRefusedError(
                f"{shown(value)} is not a duration", "name each unit once, the largest first, as in 1h30m"
            )
        order = order[order.index(match[2]) + 1 :]
        total += Decimal(match[1]) * DURATION_UNITS[match[2]]
        position = match.end()
    if position == 0:
        raise ValueRefusedError("the duration is empty", _DURATION_HINT)
    return total


def _duration_hint(text: str) -> str:
    """What was meant by `1:30`, `10min`, `5 m`."""
    if _SIXTIES.fullmatch(text):
        parts = text.split(":")
        units = ("h", "m", "s")[-len(parts) :]
        return "write " + "".join(f"{int(n)}{unit}" for n, unit in zip(parts, units, strict=True))
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) *([A-Za-z]+)", text)
    if match is None:
        return _DURATION_HINT
    meant = {"min": "m", "sec": "s", "hour": "h", "hr": "h", "day": "d", "milli": "ms", "msec": "ms"}
    word = match[2].lower()
    unit = word if word in DURATION_UNITS else next((u for w, u in meant.items() if word.startswith(w)), "")
    return f"write {match[1]}{unit}" if unit else _DURATION_HINT


def _span(milliseconds: Decimal, value: str) -> timedelta:
    if milliseconds >= 10**15:
        raise ValueRefusedError(f"{shown(value)} is too long a duration", _DURATION_HINT)
    return timedelta(microseconds=int(milliseconds * 1000))


def format_duration(span: timedelta) -> str:
    """The way to write a span so that it reads back the same: `1h30m`, `500ms`, `1.5ms`, `0s`."""
    left = span // timedelta(microseconds=1)
    parts: list[str] = []
    for unit, milliseconds in DURATION_UNITS.items():
        if unit == "ms":
            break
        count, left = divmod(left, milliseconds * 1000)
        if count:
            parts.append(f"{count}{unit}")
    if left:
        whole, fraction = divmod(left, 1000)
        parts.append(f"{whole}.{fraction:03d}".rstrip("0").rstrip(".") + "ms")
    return "".join(parts) or "0s"
