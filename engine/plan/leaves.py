"""The types of a plan's leaves as pydantic sees them: a reader, a rule, and words for the schema.

A refusal becomes an error of type `REFUSED` whose context carries the message and hint for people; the wording
of pydantic itself is never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    Tag,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from engine.plan import rules, values
from engine.plan.refusal import ValueRefusedError, shown
from engine.plan.units import DURATION_PATTERN, SIZE_PATTERN, format_duration, format_size

REFUSED: Final = "plan"
"""The type of every error raised here; its context has `message` and `hint`."""

T = TypeVar("T")
R = TypeVar("R")


def refusal(message: str, hint: str = "") -> PydanticCustomError:
    """The error that carries words for people through pydantic."""
    return PydanticCustomError(REFUSED, "{message}", {"message": message, "hint": hint})


def _speaking(function: Callable[[T], R]) -> Callable[[T], R]:
    """`function`, its refusals turned into what pydantic collects."""

    def call(value: T) -> R:
        try:
            return function(value)
        except ValueRefusedError as error:
            raise refusal(error.message, error.hint) from error

    return call


def read_by(reader: Callable[[object], object]) -> BeforeValidator:
    """Reads the raw value."""
    return BeforeValidator(_speaking(reader))


def ruled(rule: Callable[[T], T]) -> AfterValidator:
    """Keeps a rule once the value is read."""
    return AfterValidator(_speaking(rule))


def one_of(choices: type[Enum]) -> BeforeValidator:
    """One of the values of an enumeration of strings."""
    allowed = tuple(str(member.value) for member in choices)
    return read_by(
        lambda value: value if isinstance(value, choices) else rules.check_choice(values.read_text(value), allowed)
    )


def _within(lowest: T, highest: T, show: Callable[[T], str]) -> Callable[[T], T]:
    def check(value: T) -> T:
        if not lowest <= value <= highest:  # type: ignore[operator]
            raise ValueRefusedError(
                f"{show(value)} is out of bounds", f"from {show(lowest)} to {show(highest)} is allowed"
            )
        return value

    return check


@dataclass(frozen=True, slots=True)
class SizeBetween:
    """Annotates `int`: a size in bytes, both bounds allowed."""

    lowest: int
    highest: int

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        check = _within(self.lowest, self.highest, format_size)
        return core_schema.no_info_plain_validator_function(_speaking(lambda value: check(values.read_size(value))))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number = {"type": "integer", "minimum": self.lowest, "maximum": self.highest}
        return {"anyOf": [number, {"type": "string", "pattern": SIZE_PATTERN}]}


@dataclass(frozen=True, slots=True)
class DurationBetween:
    """Annotates `timedelta`: a span, both bounds allowed; written back as text."""

    lowest: timedelta
    highest: timedelta

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        check = _within(self.lowest, self.highest, format_duration)
        return core_schema.no_info_plain_validator_function(
            _speaking(lambda value: check(values.read_duration(value))),
            serialization=core_schema.plain_serializer_function_ser_schema(format_duration),
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        bounds = {"minimum": self.lowest.total_seconds(), "maximum": self.highest.total_seconds()}
        return {"anyOf": [{"type": "number", **bounds}, {"type": "string", "pattern": DURATION_PATTERN}]}


@dataclass(frozen=True, slots=True)
class WholeBetween:
    """Annotates `int`: a whole number, both bounds allowed."""

    lowest: int
    highest: int

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        check = _within(self.lowest, self.highest, str)
        return core_schema.no_info_plain_validator_function(_speaking(lambda value: check(values.read_whole(value))))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.lowest, "maximum": self.highest}


@dataclass(frozen=True, slots=True)
class NumberBetween:
    """Annotates `float`: a number, both bounds allowed."""

    lowest: float
    highest: float

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        check = _within(self.lowest, self.highest, lambda number: f"{number:g}")
        return core_schema.no_info_plain_validator_function(_speaking(lambda value: check(values.read_number(value))))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "number", "minimum": self.lowest, "maximum": self.highest}


def distinct(items: tuple[str, ...]) -> tuple[str, ...]:
    """A list that names nothing twice."""
    seen: set[str] = set()
    for item in items:
        if item in seen:
            raise ValueRefusedError(f"{shown(item)} is listed twice", "name it once")
        seen.add(item)
    return items


def frozen_env(env: Mapping[str, str]) -> Mapping[str, str]:
    """An environment that fits into one exec; immutable from here on."""
    size = sum(len(name.encode()) + len(value.encode()) + 2 for name, value in env.items())
    if len(env) > 1000 or size > rules.MAX_ARGUMENTS_BYTES:
        raise ValueRefusedError(
            f"{len(env)} variables with {size} bytes are too many",
            f"an environment has at most 1000 variables and {rules.MAX_ARGUMENTS_BYTES} bytes",
        )
    return MappingProxyType(dict(env))


def _command_form(value: object) -> Literal["text", "argv"]:
    return "argv" if isinstance(value, list | tuple) else "text"


def _sorted_dict(env: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(env.items()))


Text = Annotated[str, read_by(values.read_text)]
Needle = Annotated[Text, ruled(rules.check_not_empty), WithJsonSchema({"type": "string", "minLength": 1})]
Flag = Annotated[bool, read_by(values.read_flag)]
Title = Annotated[Text, ruled(rules.check_title), WithJsonSchema({"type": "string", "maxLength": 200})]
StepId = Annotated[Text, ruled(rules.check_step_id), WithJsonSchema({"type": "string", "pattern": rules.ID_PATTERN})]
EnvName = Annotated[
    Text, ruled(rules.check_env_name), WithJsonSchema({"type": "string", "pattern": rules.ENV_NAME_PATTERN})
]
EnvValue = Annotated[
    str,
    read_by(values.read_env_value),
    ruled(rules.check_no_nul),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
Env = Annotated[
    Mapping[EnvName, EnvValue],
    ruled(frozen_env),
    PlainSerializer(_sorted_dict, return_type=dict[str, str]),
]
FilePath = Annotated[Text, ruled(rules.check_file_path)]
AnyPath = Annotated[Text, ruled(rules.check_path)]
ListedPath = Annotated[Text, ruled(rules.check_listed_path)]
Pattern = Annotated[Text, ruled(rules.check_pattern)]
RulePattern = Annotated[
    Text, ruled(rules.check_rule_pattern), WithJsonSchema({"type": "string", "pattern": rules.RULE_PATTERN})
]
Cwd = Annotated[Text, ruled(rules.check_cwd)]
Image = Annotated[Text, ruled(rules.check_image)]
CheckName = Annotated[
    Text, ruled(rules.check_check_name), WithJsonSchema({"type": "string", "enum": list(rules.AVAILABLE_CHECKS)})
]
ShellText = Annotated[
    str,
    read_by(values.read_command_text),
    ruled(rules.check_command_text),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
Argument = Annotated[Text, ruled(rules.check_no_nul)]
Command = Annotated[
    Annotated[ShellText, Tag("text")]
    | Annotated[
        tuple[Argument, ...],
        Field(max_length=10_000, json_schema_extra={"minItems": 1}),
        ruled(rules.check_argv),
        Tag("argv"),
    ],
    Discriminator(_command_form),
]
Mode = Annotated[
    int,
    read_by(values.read_mode),
    PlainSerializer(lambda mode: f"{mode:04o}", return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": "^(0o)?[0-7]{3,4}$"}, {"type": "integer", "minimum": 0}]}),
]
