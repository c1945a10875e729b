"""`sandstone fork` over a scripted engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.journal.states import StepState
from tests.unit.engine.cli.fake_application import FORK_ID, ID, Act, FakeApplication, Script

Sandstone = Callable[..., int]


@pytest.fixture
def ran(
    make_application: Callable[..., FakeApplication],
    sandstone: Sandstone,
    plan_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> FakeApplication:
    """An application with one completed run."""
    application = make_application()
    assert sandstone(application, "run", plan_file, "-q") == 0
    capsys.readouterr()
    return application


def test_a_fork_is_followed_like_a_run(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "fork", ID[:6], "--from", "new-test") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("completed fix gcd (fedcba987654) in 1.2 s\n  2 steps: 2 succeeded\n")
    assert (
        shown.err
        == """\
    0.0s  forked from fix gcd at c1, with new-test done
    0.0s  fix gcd: 2 steps over . (fedcba987654)
    0.0s  [2/2] unit (test)
    0.0s  [2/2] unit succeeded in 20 ms
    0.0s  completed
"""
    )
    assert ran.opened[-1] == (None, True)


def test_the_object_and_the_status_say_where_it_was_forked_from(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "fork", "last", "--from", "c1", "--name", "again", "--json", "-q") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["execution_id"], shown["name"], shown["forked_from"]) == (FORK_ID, "again", f"{ID}:c1")
    assert [step["state"] for step in shown["steps"]] == ["succeeded", "succeeded"]
    sandstone(ran, "status", FORK_ID)
    assert "head c1, forked from 0123456789ab at c1\n" in capsys.readouterr().out
    sandstone(ran, "status", FORK_ID, "--json")
    assert json.loads(capsys.readouterr().out)["forked_from"] == f"{ID}:c1"
    sandstone(ran, "status", ID)
    assert "forked" not in capsys.readouterr().out


def test_another_plan_and_its_secrets_are_handed_on(
    ran: FakeApplication,
    sandstone: Sandstone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("version: 1\nname: other\nsecrets: [TOKEN]\nsteps:\n  - {id: only, type: command, run: 'true'}\n")
    assert sandstone(ran, "fork", ID, "--from", "c1", "--plan", other, "-q") == 2
    assert "TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("TOKEN", "hunter22")
    assert sandstone(ran, "fork", ID, "--from", "c1", "--plan", other, "-q") == 0
    assert capsys.readouterr().out == f"{FORK_ID}\n"
    assert ran.engine.given_secrets == {"TOKEN": "hunter22"}
    assert [(step.id, step.state) for step in ran.journal.steps(FORK_ID)] == [("only", StepState.SUCCEEDED)]


def test_a_failed_fork_ends_with_1(
    make_application: Callable[..., FakeApplication], sandstone: Sandstone, plan_file: Path
) -> None:
    application = make_application(Script({"unit": Act(ok=False, exit_code=1, detail="exit code 1")}))
    assert sandstone(application, "run", plan_file, "-q") == 1
    assert sandstone(application, "fork", "last", "--from", "c1", "-q") == 1


@pytest.mark.parametrize("arguments", [("nothing", "--from", "c1"), ("last", "--from", "c9"), ("last",)])
def test_what_does_not_exist_or_is_not_said_ends_with_2(
    arguments: tuple[str, ...], ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "fork", *arguments) == 2
    assert [record.id for record in ran.journal.executions()] == [ID]


def test_a_fork_that_could_not_start_is_told_with_the_keys_of_a_run(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(ran, "fork", "last", "--from", "c9", "--json") == 2
    shown = json.loads(capsys.readouterr().out)
    assert (shown["execution_id"], shown["state"], shown["exit_code"]) == (None, None, 2)
    assert "c9" in shown["error"]


def test_the_default_difference_of_a_fork_begins_at_no_checkpoint_of_it(
    ran: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    sandstone(ran, "fork", "last", "--from", "c1", "-q")
    capsys.readouterr()
    for arguments, start in ((("diff", FORK_ID), None), (("diff", FORK_ID, "c0"), "c0"), (("diff", ID), "c0")):
        sandstone(ran, *arguments, "--json")
        assert json.loads(capsys.readouterr().out)["from"] == start
