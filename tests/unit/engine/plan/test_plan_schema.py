"""The JSON Schema and the reference page say what the reader does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from engine.errors import PlanError
from engine.plan.model import PlanHeader
from engine.plan.parse import parse_plan
from engine.plan.rules import AVAILABLE_CHECKS
from engine.plan.schema import plan_schema
from engine.plan.settings import SANDBOX_KEYS, RetrySettings
from engine.plan.steps import STEP_MODELS

PAGE = (Path(__file__).parents[4] / "docs" / "plan-file.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
VALIDATOR = jsonschema.Draft202012Validator(plan_schema())

BAD = [
    "[]",
    "{version: 1}",
    "{version: 2, steps: [{type: command, run: x}]}",
    "{steps: [{type: command, run: x}]}",
    "{version: 1, steps: []}",
    "{version: 1, steps: {}}",
    "{version: 1, steps: [{run: x}]}",
    "{version: 1, steps: [{type: comand, run: x}]}",
    "{version: 1, steps: [{type: command}]}",
    "{version: 1, steps: [{type: command, run: []}]}",
    "{version: 1, steps: [{type: command, run: ''}]}",
    "{version: 1, steps: [{type: command, run: x, nme: x}]}",
    "{version: 1, steps: [{type: command, run: x, id: a b}]}",
    "{version: 1, steps: [{type: command, run: x, needs: a}]}",
    "{version: 1, steps: [{type: command, run: x, timeout: soon}]}",
    "{version: 1, steps: [{type: command, run: x, timeout: 0}]}",
    "{version: 1, steps: [{type: command, run: x, sandbox: {memory: 1G}}]}",
    "{version: 1, steps: [{type: command, run: x, pids: 2.5}]}",
    "{version: 1, steps: [{type: command, run: x, flaky: 'yes'}]}",
    "{version: 1, steps: [{type: command, run: x, retry: null}]}",
    "{version: 1, steps: [{type: command, run: x, on_failure: retry}]}",
    "{version: 1, steps: [{type: command, run: x, env: {A B: x}}]}",
    "{version: 1, steps: [{type: file_edit, path: x}]}",
    "{version: 1, steps: [{type: file_edit, path: x, content: a, patch: b}]}",
    "{version: 1, steps: [{type: file_edit, path: x, replace: {search: '', with: b}}]}",
    "{version: 1, steps: [{type: file_edit, path: x, replace: {search: a, with_: b}}]}",
    "{version: 1, steps: [{type: file_edit, path: x, insert: {text: a}}]}",
    "{version: 1, steps: [{type: file_create, path: x, content: a, mode: rwx}]}",
    "{version: 1, steps: [{type: validation, checks: []}]}",
    "{version: 1, steps: [{type: validation, checks: [absent]}]}",
    "{version: 1, sandbox: {network: host}, steps: [{type: command, run: x}]}",
    "{version: 1, findings: {fail_on: fatal}, steps: [{type: command, run: x}]}",
    "{version: 1, findings: {ignore: [{}]}, steps: [{type: command, run: x}]}",
    "{version: 1, findings: {ignore: [{rules: [a b]}]}, steps: [{type: command, run: x}]}",
    "{version: 1, findings: {new: true}, steps: [{type: command, run: x}]}",
    "{version: 1, retry: {attempts: 0}, steps: [{type: command, run: x}]}",
    "{version: 1, environment: {img: x}, steps: [{type: command, run: x}]}",
]


def test_the_schema_is_a_schema_and_is_json() -> None:
    jsonschema.Draft202012Validator.check_schema(plan_schema())
    assert json.loads(json.dumps(plan_schema())) == plan_schema()
    assert plan_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "$id" not in plan_schema()


def properties() -> Iterator[tuple[str, dict[str, Any]]]:
    schema = plan_schema()
    for name, definition in [("plan", schema), *schema["$defs"].items()]:
        for key, entry in definition.get("properties", {}).items():
            yield f"{name}.{key}", entry


@pytest.mark.parametrize(("name", "entry"), list(properties()))
def test_every_property_is_titled_and_described_and_never_null(name: str, entry: dict[str, Any]) -> None:
    assert entry["title"]
    assert len(entry["description"]) > 10
    assert "null" not in json.dumps(entry)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_of_the_page_is_a_plan_by_reader_and_schema(example: str) -> None:
    plan = parse_plan(example, "plan.yaml")
    VALIDATOR.validate(yaml.safe_load(example))
    VALIDATOR.validate(json.loads(plan.to_json()))


@pytest.mark.parametrize("text", BAD)
def test_what_the_schema_refuses_the_reader_refuses_too(text: str) -> None:
    assert not VALIDATOR.is_valid(yaml.safe_load(text))
    with pytest.raises(PlanError):
        parse_plan(text, "plan.yaml")


def test_the_page_names_every_key() -> None:
    keys = {*PlanHeader.model_fields, "steps", *SANDBOX_KEYS, *RetrySettings.model_fields}
    for model in STEP_MODELS.values():
        keys |= set(model.model_fields)
    assert [key for key in sorted(keys) if f"`{key}`" not in PAGE] == []


@pytest.mark.parametrize(("name", "entry"), [pair for pair in properties() if "default" in pair[1]])
def test_the_page_tells_every_default(name: str, entry: dict[str, Any]) -> None:
    _, key = name.split(".")
    default = entry["default"]
    text = {"2m": "120s"}.get(default, default) if isinstance(default, str) else json.dumps(default)
    rows = [line for line in PAGE.splitlines() if re.match(rf"\| (`\w+`, )*`{key}`", line)]
    assert rows, name
    told = {"[]": "", "{}": "", "1.0": "`1`", "2.0": "`2`"}.get(text, f"`{text}`")
    assert any(told in row for row in rows) or key == "mode", (name, text, rows)


def test_the_page_names_every_step_type_and_check() -> None:
    for name in (*STEP_MODELS, *AVAILABLE_CHECKS):
        assert f"`{name}`" in PAGE or f"### {name}" in PAGE
