"""The plan as data: values as a person means them, settings of a step, identity, immutability."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.errors import PlanError
from engine.plan.check import find_problems
from engine.plan.model import (
    CommandStep,
    FileCreateStep,
    FileEditStep,
    Insert,
    OnFailure,
    Plan,
    Replace,
    RetrySettings,
    TestStep,
    ValidationStep,
)
from engine.plan.parse import load_plan, parse_plan
from engine.plan.settings import SANDBOX_KEYS, RetryOverrides, SandboxSettings
from engine.plan.steps import STEP_MODELS

FULL = """\
version: 1
name: fix gcd
environment: {image: sandstone/runner, setup: [pip install -r requirements.txt]}
sandbox: {network: none, memory: 1GiB, cpus: 0.5, pids: 300, disk: 3GiB, timeout: 3m, output: 1MB, runtime: runsc,
          hide: [.env]}
env: {A: plan, B: plan}
secrets: [API_TOKEN]
retry: {attempts: 4, initial: 1s}
on_failure: rollback
rollback_to: create
checks: [syntax]
steps:
  - {id: early, type: command, run: x, env: {B: step, C: step}, timeout: 10m, sandbox: {memory: 2GiB, hide: [a, b]}}
  - {id: create, type: file_create, path: a/b.py, content: "x\\n", mode: 0755, checks: []}
  - {id: look, type: validation, checks: [lint, type], paths: [a, .]}
  - {id: late, type: test, run: [pytest, -q], cwd: /workspace/a/, needs: [create], retry: {max: 9s}, flaky: true}
  - {id: last, type: command, run: x, on_failure: continue}
"""


@pytest.fixture
def plan() -> Plan:
    return parse_plan(FULL)


def test_a_step_without_keys_of_its_own_gets_the_defaults() -> None:
    plan = parse_plan("{version: 1, steps: [{type: command, run: make}]}")
    settings = plan.settings_for(plan.steps[0])
    assert (settings.limits.memory_bytes, settings.limits.cpus, settings.limits.pids) == (1 << 30, 1.0, 256)
    assert (settings.disk_bytes, settings.output_bytes) == (2 << 30, 10 << 20)
    assert settings.timeout == timedelta(seconds=120)
    assert (settings.network, settings.runtime, settings.hide) == ("none", "runc", ())
    assert settings.on_failure is OnFailure.ROLLBACK
    assert (settings.rollback_to, settings.checks, dict(settings.env)) == (None, (), {})
    assert settings.retry == RetrySettings(
        attempts=3,
        initial=timedelta(milliseconds=500),
        factor=2.0,
        max=timedelta(seconds=8),
        jitter=timedelta(milliseconds=250),
    )
    assert not settings.retry_failures


def test_a_step_overrides_the_sandbox_key_by_key(plan: Plan) -> None:
    settings = plan.settings_for(plan.step("early"))
    assert settings.timeout == timedelta(minutes=10)
    assert settings.limits.memory_bytes == 2 << 30
    assert (settings.limits.cpus, settings.limits.pids) == (0.5, 300)
    assert settings.hide == ("a", "b")
    assert settings.runtime == "runsc"
    assert plan.settings_for(plan.step("last")).hide == (".env",)


def test_a_step_s_environment_lies_over_the_plan_s(plan: Plan) -> None:
    assert dict(plan.settings_for(plan.step("early")).env) == {"A": "plan", "B": "step", "C": "step"}


def test_a_step_s_retry_overrides_the_plan_s_key_by_key(plan: Plan) -> None:
    retry = plan.settings_for(plan.step("late")).retry
    assert (retry.attempts, retry.initial, retry.max) == (4, timedelta(seconds=1), timedelta(seconds=9))


@pytest.mark.parametrize(
    ("top", "step", "expected"),
    [
        ("", "", False),
        ("retry: {}, ", "", True),
        ("", ", retry: {}", True),
        ("", ", flaky: true", True),
        ("", ", flaky: false", False),
    ],
)
def test_what_simply_fails_is_tried_again_only_when_asked(top: str, step: str, expected: bool) -> None:
    plan = parse_plan(f"{{version: 1, {top}steps: [{{type: command, run: x{step}}}]}}")
    assert plan.settings_for(plan.steps[0]).retry_failures is expected


def test_a_failure_goes_back_to_the_plan_s_target_only_once_that_has_run(plan: Plan) -> None:
    targets = {step.id: plan.settings_for(step).rollback_to for step in plan.steps}
    assert targets == {"early": None, "create": None, "look": "create", "late": "create", "last": None}


def test_the_step_s_own_rollback_target_comes_first() -> None:
    plan = Plan(
        version=1,
        rollback_to="a",
        steps=(
            CommandStep(id="a", run="x"),
            CommandStep(id="b", run="x"),
            CommandStep(id="c", run="x", rollback_to="b"),
        ),
    )
    assert plan.settings_for(plan.step("c")).rollback_to == "b"


def test_checks_of_a_step_stand_in_place_of_the_plan_s(plan: Plan) -> None:
    checks = {step.id: plan.settings_for(step).checks for step in plan.steps}
    assert checks == {
        "early": ("syntax",),
        "create": (),
        "look": ("lint", "type"),
        "late": ("syntax",),
        "last": ("syntax",),
    }


def test_steps_are_typed_and_their_values_in_normal_form(plan: Plan) -> None:
    create, look, late = plan.step("create"), plan.step("look"), plan.step("late")
    assert isinstance(create, FileCreateStep)
    assert (create.mode, create.overwrite, create.content) == (0o755, False, "x\n")
    assert isinstance(look, ValidationStep)
    assert look.paths == ("a", ".")
    assert isinstance(late, TestStep)
    assert (late.run, late.cwd, late.junit, late.stdin) == (("pytest", "-q"), "a", None, "")
    assert plan.environment.setup == ("pip install -r requirements.txt",)


def test_text_in_yaml_is_the_text_as_written() -> None:
    plan = parse_plan("""\
version: 1
name: 1.10
env: {NO: no, ON: on, PORT: 8080, RELEASE: 1.10, OCTAL: 0755, TIME: 12:30, DAY: 2026-01-01, YES: true, HEX: 0x1F}
secrets: [y]
steps:
  - {id: 1, type: command, run: true}
  - {type: command, run: [sleep, 5, off], needs: [1], stdin: 007}
""")
    assert dict(plan.env) == {
        "NO": "no",
        "ON": "on",
        "PORT": "8080",
        "RELEASE": "1.10",
        "OCTAL": "0755",
        "TIME": "12:30",
        "DAY": "2026-01-01",
        "YES": "true",
        "HEX": "0x1F",
    }
    first, second = plan.steps
    assert (plan.name, plan.secrets, first.id) == ("1.10", ("y",), "1")
    assert isinstance(first, CommandStep)
    assert isinstance(second, CommandStep)
    assert (first.run, second.run, second.stdin) == ("true", ("sleep", "5", "off"), "007")


def test_steps_without_an_id_are_called_after_their_place() -> None:
    plan = parse_plan("""\
version: 1
steps: [{type: command, run: a}, {id: x, type: command, run: b}, {type: test, run: c}]
""")
    assert [step.id for step in plan.steps] == ["step-1", "x", "step-3"]
    built = Plan(version=1, steps=(CommandStep(run="a"), CommandStep(id="x", run="b"), TestStep(run="c")))
    assert built == plan


def test_canonical_json_reads_back_as_the_same_plan(plan: Plan) -> None:
    again = parse_plan(plan.to_json(), "plan.json")
    assert again == plan
    assert again.digest == plan.digest
    assert [again.settings_for(step) for step in again.steps] == [plan.settings_for(step) for step in plan.steps]
    assert Plan.model_validate_json(plan.to_json()) == plan


def test_the_digest_tells_plans_apart_and_not_ways_of_writing(plan: Plan) -> None:
    other_words = FULL.replace("memory: 1GiB", "memory: 1024MiB").replace("name: fix gcd", 'name: "fix gcd"')
    assert parse_plan(other_words).digest == plan.digest
    assert parse_plan(FULL.replace("env: {A: plan, B: plan}", "env: {B: plan, A: plan}")).digest == plan.digest
    assert parse_plan(FULL.replace("pids: 300", "pids: 301")).digest != plan.digest
    assert len(plan.digest) == 64


def test_the_digest_of_a_plan_stays_the_same_over_versions() -> None:
    plan = Plan(version=1, steps=(CommandStep(run="make"),))
    assert plan.to_json() == (
        '{"checks":[],"env":{},"environment":{"setup":[]},"name":"","on_failure":"rollback",'
        '"sandbox":{"cpus":1.0,"disk":2147483648,"hide":[],"memory":1073741824,"network":"none","output":10485760,'
        '"pids":256,"runtime":"runc","timeout":"2m"},"secrets":[],"steps":[{"cwd":".","env":{},"flaky":false,'
        '"id":"step-1","name":"","needs":[],"run":"make","stdin":"","type":"command"}],"version":1}'
    )


def test_a_plan_cannot_be_changed(plan: Plan) -> None:
    with pytest.raises(ValidationError):
        plan.name = "x"
    with pytest.raises(ValidationError):
        plan.steps[0].id = "x"
    with pytest.raises(TypeError):
        plan.env["A"] = "x"  # type: ignore[index]
    with pytest.raises(TypeError):
        plan.steps[0].env["A"] = "x"  # type: ignore[index]


def test_settings_are_only_told_of_steps_of_the_plan(plan: Plan) -> None:
    with pytest.raises(KeyError):
        plan.settings_for(CommandStep(id="elsewhere", run="x"))
    with pytest.raises(KeyError):
        plan.step("elsewhere")


def test_every_sandbox_key_has_a_default_and_an_override() -> None:
    assert tuple(SandboxSettings.model_fields) == SANDBOX_KEYS
    assert set(RetryOverrides.model_fields) == set(RetrySettings.model_fields)
    for model in STEP_MODELS.values():
        assert set(SANDBOX_KEYS) < set(model.model_fields)


@pytest.mark.parametrize("kind", STEP_MODELS)
def test_the_table_of_step_types_and_the_models_agree(kind: str) -> None:
    assert STEP_MODELS[kind].model_fields["type"].default == kind


def test_plans_made_in_code_keep_the_rules_on_single_values() -> None:
    with pytest.raises(ValidationError, match=r"\.\."):
        FileCreateStep(path="../x", content="")
    with pytest.raises(ValidationError, match="exactly one"):
        FileEditStep(path="x")
    with pytest.raises(ValidationError, match="exactly one"):
        Insert(text="x", after="a", line=1)
    with pytest.raises(ValidationError):
        Plan(version=1, steps=())
    with pytest.raises(ValidationError):
        CommandStep(run="x", timeout=timedelta(0))


def test_plans_made_in_code_are_told_their_problems_across_steps() -> None:
    edit = FileEditStep(id="a", path="x", instruction="do")
    plan = Plan(version=1, steps=(edit, CommandStep(id="a", run="x", needs=("b",))))
    assert [problem.loc for problem in find_problems(plan)] == [
        ("steps", 1, "id"),
        ("steps", 0, "instruction"),
        ("steps", 1, "needs", 0),
    ]
    good = FileEditStep(path="x", replace=Replace(search="a", **{"with": "b"}))
    assert find_problems(Plan(version=1, steps=(good,))) == []


def test_a_plan_is_loaded_from_a_file(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "plan.yaml").write_text("\ufeff" + FULL.replace("\n", "\r\n"), encoding="utf-8")
    assert load_plan(tmp_path / "plan.yaml") == plan
    (tmp_path / "plan.JSON").write_text(plan.to_json(), encoding="utf-8")
    assert load_plan(tmp_path / "plan.JSON") == plan


@pytest.mark.parametrize("name", ["absent.yaml", ".", "loop"])
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(PlanError, match="cannot be read") as caught:
        load_plan(tmp_path / name)
    assert (caught.value.faults[0].line, caught.value.faults[0].column) == (1, 1)


def test_no_more_than_the_largest_plan_is_read_of_a_file() -> None:
    with pytest.raises(PlanError, match="more than 4 MiB"):
        load_plan(Path("/dev/zero"))
