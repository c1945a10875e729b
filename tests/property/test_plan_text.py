"""Whatever the text of a plan, the answer is a plan that keeps every rule or a `PlanError` with places."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.errors import Fault, PlanError
from engine.plan.check import find_problems
from engine.plan.model import OnFailure, Plan
from engine.plan.parse import parse_plan
from engine.plan.refusal import ValueRefusedError
from engine.plan.settings import SANDBOX_KEYS
from engine.plan.steps import STEP_MODELS
from engine.plan.units import format_duration, format_size, parse_duration, parse_size

GOOD = """\
version: 1
name: all there is
environment: {image: "python:3.12", setup: [make deps]}
sandbox: {network: none, memory: 1GiB, cpus: 1, pids: 256, disk: 2GiB, timeout: 120s, output: 10MiB, runtime: runc}
env: {A: "0", B: 1.10}
secrets: [TOKEN]
retry: {attempts: 3, initial: 500ms, factor: 2, max: 8s, jitter: 0}
on_failure: rollback
rollback_to: one
checks: [syntax]
steps:
  - {id: one, type: file_create, path: a/b.py, content: "x = 1", mode: 0644, overwrite: true}
  - {id: two, type: file_edit, path: a/b.py, replace: {search: x, with: y, all: true}, needs: [one]}
  - {type: file_edit, path: a, insert: {line: 3, text: z}, on_failure: continue, flaky: true}
  - {type: file_delete, path: a, recursive: true, sandbox: {timeout: 1m}, rollback_to: two}
  - {type: command, run: [a, b], cwd: a, stdin: "x", env: {C: d}, hide: ["*.pem"], timeout: 1h30m}
  - {type: validation, checks: [lint], paths: [a]}
  - type: test
    run: |
      pytest -q
    junit: report.xml
"""
GOOD_JSON = parse_plan(GOOD).to_json()

KEYS = sorted(
    {"version", "steps", "search", "with", "text", "line", "after", "before", "attempts", "max", "image", "setup", "<<"}
    | set(Plan.model_fields)
    | set(SANDBOX_KEYS)
    | {key for model in STEP_MODELS.values() for key in model.model_fields}
)
WORDS = [*KEYS, *STEP_MODELS, "none", "rollback", "1GiB", "10m", "lint", "../x", "a", "", "0644", "yes", "~"]


def read(text: str | bytes, file: str) -> tuple[Plan | None, Sequence[Fault]]:
    try:
        return parse_plan(text, file), ()
    except PlanError as error:
        return None, error.faults


def judged(text: str | bytes, file: str) -> Plan | None:
    """The plan, None when it is refused; fails on any other exception and on faults without a place."""
    plan, faults = read(text, file)
    if plan is None:
        assert faults
        for fault in faults:
            assert fault.file == file
            assert fault.line >= 1
            assert fault.column >= 1
            assert fault.message
            assert (fault.message + fault.hint + fault.key).isprintable()
            assert len(fault.message) + len(fault.hint) < 600
        return None
    assert find_problems(plan) == []
    assert parse_plan(plan.to_json(), "plan.json") == plan
    assert Plan.from_json(plan.to_json()) == plan
    assert all(plan.settings_for(step).timeout > timedelta(0) for step in plan.steps)
    return plan


FILES = st.sampled_from(["plan.yaml", "plan.json", "plan"])


@settings(deadline=None)
@given(st.binary(max_size=300), FILES)
@example(b"\xff\xfe", "plan.yaml")
@example(b"%YAML 9.9\n---\na", "plan.yaml")
@example(b"%TAG ! tag:x,2000:\n---\na: !b c", "plan.yaml")
def test_random_bytes_never_end_in_another_exception(data: bytes, file: str) -> None:
    judged(data, file)


YAML_SIGNS = st.sampled_from(
    [*"[]{}:,-?&*!|>'\"%@`#~<=\\ \n\t0a", "- ", ": ", "? ", "\n  ", "---\n", "...\n", "\u2028"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(YAML_SIGNS | st.sampled_from(WORDS), max_size=40).map("".join), FILES)
def test_text_made_of_signs_never_ends_in_another_exception(text: str, file: str) -> None:
    judged(text, file)


SCALARS: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS)
)
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)
STEPS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(sorted(STEP_MODELS)) | TREES},
        optional={key: SCALARS | TREES for key in KEYS if key != "type"},
    ),
    max_size=3,
)
PLANS = st.fixed_dictionaries(
    {"version": st.just(1), "steps": STEPS | TREES},
    optional={key: TREES for key in Plan.model_fields if key not in ("version", "steps")},
)


@settings(max_examples=200, deadline=None)
@given(TREES | PLANS, st.booleans())
def test_random_structures_never_end_in_another_exception(tree: Any, flow: bool) -> None:
    judged(yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True), "plan.yaml")
    judged(json.dumps(tree), "plan.json")


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from([(GOOD, "plan.yaml"), (GOOD_JSON, "plan.json"), (GOOD_JSON, "plan.yaml")]))
def test_mutated_plans_are_plans_or_have_faults(data: st.DataObject, source: tuple[str, str]) -> None:
    text, file = source
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 12))
        piece = data.draw(YAML_SIGNS | st.sampled_from(WORDS) | st.characters() | st.just(""))
        text = text[:start] + piece + text[start + length :]
    judged(text, file)


def test_the_plan_that_is_mutated_is_a_plan() -> None:
    assert judged(GOOD, "plan.yaml") == judged(GOOD_JSON, "plan.json")


@settings(deadline=None)
@given(st.text(max_size=20), st.sampled_from(["run", "stdin", "name", "cwd"]))
def test_text_in_quotes_arrives_as_it_is_or_is_refused(text: str, key: str) -> None:
    step = {"type": "command", "run": "x", key: text}
    plan = judged(json.dumps({"version": 1, "steps": [step]}), "plan.json")
    if plan is not None and key != "cwd":
        assert getattr(plan.steps[0], key) == text


@settings(deadline=None)
@given(st.text(max_size=12))
def test_a_path_that_is_taken_stays_in_the_workspace(path: str) -> None:
    plan = judged(json.dumps({"version": 1, "steps": [{"type": "file_delete", "path": path}]}), "plan.json")
    if plan is not None:
        parts = path.split("/")
        assert not path.startswith(("/", "~"))
        assert not {"", ".", "..", ".git"} & set(parts)
        assert "\0" not in path


@settings(deadline=None)
@given(st.integers(0, 10**15))
def test_sizes_read_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@settings(deadline=None)
@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=10_000)))
def test_durations_read_back(span: timedelta) -> None:
    assert parse_duration(format_duration(span)) == span


@settings(deadline=None)
@given(st.text(max_size=12))
def test_units_never_raise_anything_but_a_refusal(text: str) -> None:
    for parse in (parse_size, parse_duration):
        with suppress(ValueRefusedError):
            parse(text)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([None, *OnFailure]), st.integers(-1, 5), st.booleans()), min_size=1, max_size=6),
    st.sampled_from(list(OnFailure)),
    st.integers(-1, 5),
)
def test_a_resolved_rollback_target_is_always_an_earlier_step(
    steps: list[tuple[OnFailure | None, int, bool]], policy: OnFailure, target: int
) -> None:
    plan_data: dict[str, Any] = {"version": 1, "on_failure": policy, "steps": []}
    if target >= 0:
        plan_data["rollback_to"] = f"s{target}"
    for index, (own, own_target, _) in enumerate(steps):
        step: dict[str, Any] = {"id": f"s{index}", "type": "command", "run": "x"}
        if own is not None:
            step["on_failure"] = own
        if own_target >= 0:
            step["rollback_to"] = f"s{own_target}"
        plan_data["steps"].append(step)
    plan = judged(json.dumps(plan_data), "plan.json")
    if plan is None:
        return
    ids = [step.id for step in plan.steps]
    for index, each in enumerate(plan.steps):
        resolved = plan.settings_for(each)
        if resolved.rollback_to is not None:
            assert ids.index(resolved.rollback_to) < index
            assert resolved.on_failure is OnFailure.ROLLBACK
