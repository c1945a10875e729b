"""Fixtures of the command line's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.cli import main
from tests.unit.engine.cli.fake_application import FakeApplication, Script

PLAN = """\
version: 1
name: fix gcd
steps:
  - {id: new-test, type: file_create, path: test_gcd.py, content: x}
  - {id: unit, type: test, run: pytest -q}
"""


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the caller's environment decides how things look."""
    for name in ("NO_COLOR", "FORCE_COLOR", "CI", "SANDSTONE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


@pytest.fixture
def make_application(tmp_path: Path) -> Iterator[Callable[..., FakeApplication]]:
    made: list[FakeApplication] = []

    def make(script: Script | None = None) -> FakeApplication:
        made.append(FakeApplication(tmp_path / f"home{len(made)}", script))
        return made[-1]

    yield make
    for application in made:
        application.close()


@pytest.fixture
def sandstone() -> Callable[..., int]:
    """Run a command on an application: `sandstone(application, "status", "last")`."""

    def run(application: FakeApplication, *arguments: str) -> int:
        return main([str(argument) for argument in arguments], opener=application.open)

    return run
