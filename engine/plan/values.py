"""How each kind of leaf reads what a file holds. Pure; refusals are `ValueRefusedError`.

A reader takes a `Bare` scalar or text from a file, or a ready Python value from a program, and gives the typed
value or says what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeVar

from engine.plan import rules
from engine.plan.refusal import ValueRefusedError, shown
from engine.plan.source import Bare, Kind, describe
from engine.plan.units import parse_duration, parse_size

_WHOLE: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"[-+]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(?:[eE][-+]?[0-9]{1,2})?")
_FLAG_HINTS: Final = {
    **dict.fromkeys(("yes", "on", "y"), "write true"),
    **dict.fromkeys(("no", "off", "n"), "write false"),
    "true": "write true without quotes",
    "false": "write false without quotes",
}

T = TypeVar("T")


def read_text(value: object) -> str:
    """Text; in YAML also a number or boolean, as it is written."""
    if isinstance(value, str):
        return value
    if isinstance(value, Bare) and value.as_text and value.kind is not Kind.NULL:
        return value.text
    raise ValueRefusedError(f"expected text, found {describe(value)}", _text_hint(value))


def _text_hint(value: object) -> str:
    if not isinstance(value, Bare):
        return ""
    return 'for empty text write ""' if value.kind is Kind.NULL else f'put it in quotes: "{value.text[:30]}"'


def read_command_text(value: object) -> str:
    """The text of a command; `run` may also be a list, which is not read here."""
    if isinstance(value, str | Bare):
        return read_text(value)
    raise ValueRefusedError(f"expected a command, found {describe(value)}", "write text or a list of arguments")


def read_env_value(value: object) -> str:
    """Text; also a number or boolean, as it is written, in YAML and in JSON."""
    if isinstance(value, Bare) and value.kind is not Kind.NULL:
        return value.text
    return read_text(value)


def read_whole(value: object) -> int:
    """A whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Bare) and value.kind is Kind.NUMBER and _WHOLE.fullmatch(value.text):
        return int(value.text)
    raise ValueRefusedError(f"expected a whole number, found {_quoted(value)}", _number_hint(value, _WHOLE))


def read_number(value: object) -> float:
    """A number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, Bare) and value.kind is Kind.NUMBER and _DECIMAL.fullmatch(value.text):
        return float(value.text)
    raise ValueRefusedError(f"expected a number, found {_quoted(value)}", _number_hint(value, _DECIMAL))


def _number_hint(value: object, pattern: re.Pattern[str]) -> str:
    return f"write {value} without quotes" if isinstance(value, str) and pattern.fullmatch(value) else ""


def _quoted(value: object) -> str:
    return shown(value) if isinstance(value, str) else describe(value)


def read_flag(value: object) -> bool:
    """true or false."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Bare) and value.kind is Kind.BOOLEAN:
        return value.text.lower() == "true"
    word = value.lower() if isinstance(value, str) else ""
    raise ValueRefusedError(f"expected true or false, found {_quoted(value)}", _FLAG_HINTS.get(word, ""))


def read_size(value: object) -> int:
    """Bytes from `1GiB` or a number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return parse_size(value)
    return _parsed(value, parse_size, "a size such as 512MiB")


def read_duration(value: object) -> timedelta:
    """A span from `10m` or a number of seconds."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return parse_duration(value)
    return _parsed(value, parse_duration, "a duration such as 10m")


def read_mode(value: object) -> int:
    """Permission bits: from a file octal text, or in YAML digits that begin with 0; from a program the number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return rules.check_mode(value)
    if isinstance(value, Bare) and value.kind is Kind.NUMBER and not (value.as_text and value.text[0] == "0"):
        # 644 could be meant as octal or as a decimal number, and JSON has no octal at all.
        raise ValueRefusedError(
            f"{shown(value.text)} is not a file mode", 'write octal digits in quotes, such as "0644"'
        )
    return _parsed(value, rules.read_mode, 'a file mode such as "0644"')


def read_version(value: object) -> int:
    """The version of the plan language: 1."""
    version = read_whole(value)
    if version != 1:
        raise ValueRefusedError(f"plans of version {version} are not known here", "write version: 1")
    return version


def _parsed(value: object, parse: Callable[[str], T], what: str) -> T:
    text = value.text if isinstance(value, Bare) and value.kind is Kind.NUMBER else value
    if not isinstance(text, str):
        raise ValueRefusedError(f"expected {what}, found {describe(value)}")
    return parse(text)
