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


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """A project before and after: every kind of change, and a name that would clear a terminal."""
    old, new = tmp_path / "old", tmp_path / "new"
    for tree in (old, new):
        tree.mkdir()
        (tree / "gcd.py").write_text("def gcd(a, b):\n    return a\n")
        (tree / "run.sh").write_text("make\n")
    (old / "bad\x1b[2J").write_text("gone\n")
    (new / "new").mkdir()
    (new / "new" / "a.py").write_text("import os\nprint('\x1b[31m')\n")
    (new / "new" / "data").write_bytes(b"\0\1\2")
    (new / "gcd.py").write_text("def gcd(a, b):\n    return a if not b else gcd(b, a % b)\n")
    (old / "run.sh").chmod(0o644)
    (new / "run.sh").chmod(0o755)
    return old, new
