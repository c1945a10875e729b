"""`pause` and `cancel`: what they ask the engine for, what they say, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.execution.control import PauseMode
from engine.journal.states import ExecutionState
from tests.unit.engine.cli.fake_application import ID, FakeApplication

Make = Callable[..., FakeApplication]
Sandstone = Callable[..., int]


@pytest.fixture
def paused(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str]
) -> FakeApplication:
    """An application with one paused execution."""
    application = make_application()
    sandstone(application, "run", plan_file, "-w", "/project")
    application.engine.write(lambda tx: tx.move(ID, ExecutionState.PAUSED, "by \x1b[31mhand"))
    capsys.readouterr()
    return application


@pytest.mark.parametrize(
    ("option", "mode"),
    [(None, PauseMode.AFTER_STEP), ("--after-step", PauseMode.AFTER_STEP), ("--now", PauseMode.NOW)],
)
def test_pause_asks_for_its_mode_and_says_how_to_go_on(
    paused: FakeApplication,
    sandstone: Sandstone,
    capsys: pytest.CaptureFixture[str],
    option: str | None,
    mode: PauseMode,
) -> None:
    options = [option] if option is not None else []
    assert sandstone(paused, "pause", "last", *options, "--reason", "lunch") == 0
    assert paused.engine.paused == [(ID, mode, "lunch")]
    shown = capsys.readouterr()
    assert shown.out == f"{ID[:12]}: paused: by \\x1b[31mhand\n"
    assert f"sandstone resume {ID[:12]}" in shown.err


def test_both_modes_at_once_are_bad_usage(paused: FakeApplication, sandstone: Sandstone) -> None:
    assert sandstone(paused, "pause", "last", "--now", "--after-step") == 2
    assert paused.engine.paused == []


def test_pause_as_json_prints_the_execution(
    paused: FakeApplication, sandstone: Sandstone, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandstone(paused, "pause", "last", "--json") == 0
    shape = json.loads(capsys.readouterr().out)
    assert (shape["execution_id"], shape["state"]) == (ID, "paused")


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_what_has_ended_is_refused(
    make_application: Make, sandstone: Sandstone, plan_file: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    application = make_application()
    sandstone(application, "run", plan_file, "-w", "/project")
    capsys.readouterr()
    assert sandstone(application, verb, "last") == 2
    assert f"cannot {verb} {ID}: it is completed" in capsys.readouterr().err
