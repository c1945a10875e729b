"""`sandstone run` and `resume` over a scripted engine."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import ApplyConflictError
from engine.journal.states import ExecutionState
from sandbox.errors import EngineUnreachableError, TreeRefusedError
from tests.unit.engine.cli.fake_application import ID, Act, FakeApplication, Script

Make = Callable[..., FakeApplication]
Sandstone = Callable[..., int]
Trees = tuple[Path, Path]
FAILED = Act(ok=False, stdout=b"F\x1b[31m\n1 failed\n", exit_code=1, detail="exit code 1")


def send(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def test_a_completed_run_is_told_in_plain_lines_and_a_summary(
    make_application: Make, sandstone: Sandstone, plan_file: Path, trees: Trees, capsys: pytest.CaptureFixture[str]
) -> None:
    application = make_application(Script(trees=trees))
    assert sandstone(application, "run", plan_file, "-w", "/project") == 0
    shown = capsys.readouterr()
    assert (
        shown.out
        == """\
completed fix gcd (0123456789ab) in 1.2 s
  2 steps: 2 succeeded
  D bad\\x1b[2J | 1 -
  M gcd.py     | 2 +-
  A new/a.py   | 2 ++
  A new/data   | nothing -> 3 B
  M run.sh     | mode 0644 -> 0755
  2 added, 2 modified, 1 deleted; +3 -2 lines
"""
    )
    assert (
        shown.err
        == """\
    0.0s  fix gcd: 2 steps over /project (0123456789ab)
    0.0s  [1/2] new-test (file_create)
    0.0s  [1/2] new-test succeeded in 20 ms
    0.0s  [2/2] unit (test)
    0.0s  [2/2] unit succeeded in 20 ms
    0.0s  completed
  sandstone diff 0123456789ab      see the changes
  sandstone apply 0123456789ab     copy them to /project
  sandstone rollback 0123456789ab  go one checkpoint back
"""
    )
    assert application.opened == [(None, True)]


def test_json_is_one_object_on_standard_output(
    make_application: Make, sandstone: Sandstone, plan_file: Path, trees: Trees, capsys: pytest.CaptureFixture[str]
) -> None:
    application = make_application(Script({"unit": FAILED}, trees))
    assert sandstone(application, "run", plan_file, "--json", "--name", "mine") == 1
    shown = json.loads(capsys.readouterr().out)
    steps = shown.pop("steps")
    assert shown == {
        "execution_id": ID,
        "name": "mine",
        "state": "failed",
        "error": "step unit failed: exit code 1",
        "head": "c1",
        "changes": {"added": 2, "modified": 2, "deleted": 1},
        "duration_ms": 1234,
        "workspace": ".",
        "forked_from": None,
        "applied": False,
    }
    assert steps[1] == {
        "id": "unit",
        "type": "test",
        "state": "failed",
        "attempts": 1,
        "exit_code": 1,
        "verdict": None,
        "detail": "exit code 1",
        "duration_ms": 20.0,
        "overhead_ms": 1.5,
        "checkpoint": None,
        "findings": [],
        "tests": None,
        "usage": {},
        "stdout_tail": "F\x1b[31m\n1 failed\n",
        "stderr_tail": "",
    }


def test_json_never_carries_raw_control_characters(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    act = Act(stdout=b"\x1b]52;c;x\x07\x7f\xff")
    sandstone(make_application(Script({"unit": act})), "run", plan_file, "--json")
    shown = capsys.readouterr()
    assert shown.out.replace("\n", "").isprintable()
    assert shown.out.isascii()


def test_a_failed_step_shows_its_output_escaped_and_where_the_rest_is(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(make_application(Script({"unit": FAILED})), "run", plan_file) == 1
    shown = capsys.readouterr()
    assert "| F\\x1b[31m\n          | 1 failed\n          see the rest: sandstone logs 0123456789ab unit" in shown.err
    assert "\x1b" not in shown.out + shown.err
    assert shown.out.startswith("failed fix gcd (0123456789ab)")


def test_quiet_prints_the_id_alone(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(make_application(), "run", "--quiet", plan_file) == 0
    assert capsys.readouterr() == (f"{ID}\n", "")


def test_quiet_still_fails_with_its_code(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(make_application(Script({"unit": FAILED})), "run", "--quiet", plan_file) == 1
    assert capsys.readouterr() == (f"{ID}\n", "error: step unit failed: exit code 1\n")


def test_a_plan_may_come_on_standard_input(
    make_application: Make, sandstone: Sandstone, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = b'{"version": 1, "name": "piped", "steps": [{"type": "command", "run": "true"}]}'
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(plan)))
    application = make_application()
    assert sandstone(application, "run", "-") == 0
    assert application.journal.find("last").name == "piped"


def test_a_bad_plan_is_refused_before_anything_is_opened(
    make_application: Make, sandstone: Sandstone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "bad.yaml"
    plan.write_text("version: 1\nsteps:\n  - {type: comand, run: x}\n")
    application = make_application()
    assert sandstone(application, "run", plan, "--json") == 2
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert result["execution_id"] is None
    assert result["state"] is None
    assert result["exit_code"] == 2
    assert result["faults"][0]["line"] == 3
    assert set(result) >= {"name", "error", "head", "changes", "duration_ms", "steps"}
    assert "did you mean command?" in shown.err
    assert application.opened == []


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_missing_secret_is_named(
    arguments: tuple[str, ...],
    make_application: Make,
    sandstone: Sandstone,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("API_TOKEN", raising=False)
    plan = tmp_path / "plan.yaml"
    plan.write_text("version: 1\nsecrets: [API_TOKEN]\nsteps:\n  - {type: command, run: x}\n")
    assert sandstone(make_application(), "run", plan, *arguments) == 2
    assert "API_TOKEN" in capsys.readouterr().err


def test_only_the_secrets_that_the_plan_names_are_handed_on(
    make_application: Make, sandstone: Sandstone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "value-of-it")
    monkeypatch.setenv("OTHER_TOKEN", "not this")
    plan = tmp_path / "plan.yaml"
    plan.write_text("version: 1\nsecrets: [API_TOKEN]\nsteps:\n  - {type: command, run: x}\n")
    application = make_application()
    assert sandstone(application, "run", plan) == 0
    assert application.engine.given_secrets == {"API_TOKEN": "value-of-it"}


def test_an_engine_that_is_away_ends_with_3_and_says_what_to_do(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script(start_error=EngineUnreachableError("/var/run/docker.sock", "refused"))
    assert sandstone(make_application(script), "run", plan_file, "--json") == 3
    shown = capsys.readouterr()
    assert json.loads(shown.out)["error_type"] == "EngineUnreachableError"
    assert "hint: see what is missing with `sandstone doctor`" in shown.err


def test_apply_follows_a_completed_run(
    make_application: Make, sandstone: Sandstone, plan_file: Path, trees: Trees, capsys: pytest.CaptureFixture[str]
) -> None:
    application = make_application(Script(trees=trees))
    assert sandstone(application, "run", plan_file, "--apply", "--json") == 0
    assert json.loads(capsys.readouterr().out)["applied"] is True
    assert application.results.applied == [{"id": ID, "dry_run": False, "force": False, "allow": []}]


def test_apply_does_not_follow_a_failed_run(make_application: Make, sandstone: Sandstone, plan_file: Path) -> None:
    application = make_application(Script({"unit": FAILED}))
    assert sandstone(application, "run", plan_file, "--apply") == 1
    assert application.results.applied == []


def test_a_conflict_on_apply_ends_with_5_and_is_in_the_object(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script(apply_error=ApplyConflictError([("gcd.py", "changed")]))
    assert sandstone(make_application(script), "run", plan_file, "--apply", "--json") == 5
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert result["state"] == "completed"
    assert result["applied"] is False
    assert result["apply_error"]["conflicts"] == [{"path": "gcd.py", "reason": "changed"}]
    assert "gcd.py: changed" in shown.err


def test_keep_is_handed_on(make_application: Make, sandstone: Sandstone, plan_file: Path) -> None:
    application = make_application()
    sandstone(application, "run", plan_file, "--keep")
    assert application.engine.kept is True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 4), (signal.SIGHUP, 4)])
def test_one_signal_cancels_cleanly(
    number: signal.Signals,
    code: int,
    make_application: Make,
    sandstone: Sandstone,
    plan_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    application = make_application(Script({"unit": Act(hang=True)}, started=send(number)))
    assert sandstone(application, "run", plan_file, "--json") == code
    shown = capsys.readouterr()
    outcome = json.loads(shown.out)
    assert (outcome["state"], outcome["error"]) == ("cancelled", f"interrupted by {number.name}")
    assert "cancelling; a second signal leaves at once" in shown.err
    assert application.engine.cancelled == [ID]


def test_quiet_says_that_a_signal_cancelled_it(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    application = make_application(Script({"unit": Act(hang=True)}, started=send(signal.SIGINT)))
    assert sandstone(application, "run", plan_file, "--quiet") == 130
    told = "cancelling; a second signal leaves at once\nerror: cancelled: interrupted by SIGINT\n"
    assert capsys.readouterr() == (f"{ID}\n", told)


def test_quiet_says_that_somebody_cancelled_it(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    application: FakeApplication

    def cancel_elsewhere() -> None:
        application.engine._reason = "asked for"
        application.engine._cancel.set()

    application = make_application(Script({"unit": Act(hang=True)}, started=cancel_elsewhere))
    assert sandstone(application, "run", plan_file, "--quiet") == 4
    assert capsys.readouterr() == (f"{ID}\n", "error: cancelled: asked for\n")


def test_a_signal_too_late_to_cancel_leaves_the_execution_its_own_end(
    make_application: Make, sandstone: Sandstone, plan_file: Path
) -> None:
    script = Script({"unit": Act(hang=True)}, started=send(signal.SIGINT), finish_despite_cancel=True)
    application = make_application(script)
    assert sandstone(application, "run", plan_file) == 0
    assert application.journal.execution(ID).state is ExecutionState.COMPLETED


def test_nothing_is_applied_after_a_signal(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script({"unit": Act(hang=True)}, started=send(signal.SIGINT), finish_despite_cancel=True)
    application = make_application(script)
    assert sandstone(application, "run", plan_file, "--apply") == 130
    assert application.results.applied == []
    assert "not applied: interrupted" in capsys.readouterr().err


def test_resume_goes_on_and_shows_only_what_is_new(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script({"unit": Act(hang=True)}, started=send(signal.SIGINT))
    application = make_application(script)
    sandstone(application, "run", plan_file)
    assert sandstone(application, "rollback", "last", "--to", "c1") == 0
    application.engine._cancel.clear()
    script.acts = {}
    capsys.readouterr()
    assert sandstone(application, "resume", "last") == 0
    shown = capsys.readouterr()
    assert shown.err.splitlines()[0] == "    0.0s  resumed"
    assert "[2/2] unit succeeded" in shown.err
    assert "new-test" not in shown.err


def test_resume_of_what_is_not_paused_is_a_usage_error(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    application = make_application()
    sandstone(application, "run", plan_file)
    capsys.readouterr()
    assert sandstone(application, "resume", "last") == 2
    assert "it is completed, not paused" in capsys.readouterr().err


def test_an_unexpected_error_is_shown_escaped_with_its_place(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script(start_error=ZeroDivisionError("bad \x1b[2J"))
    assert sandstone(make_application(script), "run", plan_file) == 3
    shown = capsys.readouterr().err
    assert "a fault of sandstone itself" in shown
    assert "ZeroDivisionError: bad \\x1b[2J" in shown
    assert "\x1b" not in shown


def shape_of(value: Any) -> Any:
    return {key: type(value[key]).__name__ for key in value}


def test_a_run_that_could_not_start_has_the_same_keys(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sandstone(make_application(), "run", plan_file, "--json")
    started = json.loads(capsys.readouterr().out)
    sandstone(make_application(Script(start_error=EngineUnreachableError("s", "r"))), "run", plan_file, "--json")
    failed = json.loads(capsys.readouterr().out)
    assert set(started) - {"workspace", "applied"} <= set(failed)


def test_changes_that_cannot_be_found_out_do_not_hide_the_outcome(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script(changes_error=TreeRefusedError("p", "something is mounted there"))
    assert sandstone(make_application(script), "run", plan_file, "--json") == 3
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert (result["state"], result["changes"]) == ("completed", None)
    assert result["changes_error"]["error_type"] == "TreeRefusedError"
    assert "something is mounted there" in shown.err


def test_a_project_with_the_state_directory_in_it_is_told_what_helps(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = TreeRefusedError("/project/.state/mnt", "is mounted below the project")
    application = make_application(Script(start_error=error))
    assert sandstone(application, "run", plan_file) == 3
    assert "a state directory in the project: --home elsewhere" in capsys.readouterr().err
