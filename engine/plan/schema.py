"""The JSON Schema of plan files, for editors and other languages: made from the models, so that it cannot lag.

It tells what one value may be; rules across steps (ids, `needs`, ...) are beyond it, and where YAML lets an
unquoted number stand for text, the schema asks for text.
"""

from __future__ import annotations

from typing import Any, Final

from engine.plan.model import Plan
from engine.plan.rules import ENV_NAME_PATTERN
from engine.plan.settings import RetrySettings, SandboxSettings
from engine.plan.steps import STEP_MODELS
from engine.plan.units import format_duration, format_size

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_TITLES: Final = {"cwd": "Working directory", "cpus": "CPUs", "env": "Environment variables", "junit": "JUnit report"}


def plan_schema() -> dict[str, Any]:
    """The schema as JSON data: draft 2020-12, complete in itself, every property titled and described."""
    schema = Plan.model_json_schema(by_alias=True, mode="validation")
    definitions: dict[str, Any] = schema["$defs"]
    for kind, model in STEP_MODELS.items():
        definition = definitions[model.__name__]
        definition["properties"]["type"] = {"description": "Type of the step.", "const": kind}
        definition["required"] = ["type", *definition.get("required", [])]
    for name, definition in [("Sandstone plan", schema), *definitions.items()]:
        definition["title"] = name
        properties = definition.get("properties", {})
        for key, entry in properties.items():
            properties[key] = _property(key, entry)
    del schema["properties"]["steps"]["items"]["discriminator"]  # OpenAPI's, not JSON Schema's
    return {"$schema": DIALECT, **schema}


def _property(key: str, entry: dict[str, Any]) -> dict[str, Any]:
    """One property without what a plan file cannot say (null), with title and description."""
    forms = [form for form in entry.get("anyOf", []) if form != {"type": "null"}]
    if len(forms) != len(entry.get("anyOf", [])):
        rest = {name: value for name, value in entry.items() if name not in ("anyOf", "default")}
        entry = {**(forms[0] if len(forms) == 1 else {"anyOf": forms}), **rest}
    if "default" in entry and key in _WRITTEN_DEFAULTS:
        entry["default"] = _WRITTEN_DEFAULTS[key]
    if entry.get("default") == "" or (isinstance(entry.get("default"), dict) and "$ref" in entry):
        del entry["default"]
    if ENV_NAME_PATTERN in entry.get("patternProperties", {}):
        entry["additionalProperties"] = False
    entry["title"] = _TITLES.get(key, key.replace("_", " ").capitalize())
    if "description" not in entry:
        entry["description"] = _SHARED[key]
    return entry


_POLICY: Final = {**SandboxSettings.model_fields, **RetrySettings.model_fields}

_SHARED: Final = {key: field.description or "" for key, field in _POLICY.items()}
"""Descriptions of keys that a step may override: pydantic tells them only where the key is not optional."""

_WRITTEN_DEFAULTS: Final = {
    **{key: format_size(_POLICY[key].default) for key in ("memory", "disk", "output")},
    **{key: format_duration(_POLICY[key].default) for key in ("timeout", "initial", "max", "jitter")},
}
"""Defaults as a person would write them."""
