"""Checks of 50 changed files in a project of 2,000, against the same tools by hand without a sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.common import Figures, call, scratch, summary, timed

_BIN = Path(sys.executable).parent
_CHECKS = "syntax,lint,type,security"
_CHANGED = 50
_MODULE = '''\
"""Module {index}."""

from __future__ import annotations

from {before} import value as before


def value(count: int) -> int:
    """What stands at `count`."""
    found = before(count) if count > {index} else {index}
    for step in range(count):
        found += step % ({index} + {salt} + 1)
    return found


def text(names: list[str]) -> str:
    """The names on one line."""
    return ", ".join(sorted(name.strip() for name in names if name)) or "{salt}"
'''


def _write(project: Path, index: int, salt: int) -> Path:
    path = project / f"p{index // 100}" / f"m{index}.py"
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()
    before = f"p{(index - 1) // 100}.m{index - 1}" if index % 100 else "start"
    path.write_text(_MODULE.format(index=index, salt=salt, before=before))
    return path


def _project(place: Path, files: int) -> Path:
    """Modules in chains of a hundred, all of them in one commit."""
    project = place / "project"
    project.mkdir()
    (project / "start.py").write_text("def value(count: int) -> int:\n    return count\n")
    for index in range(files):
        _write(project, index, 0)
    for words in (["init", "--quiet"], ["add", "-A"], ["commit", "--quiet", "-m", "start"]):
        call("git", "-c", "user.name=b", "-c", "user.email=b@example.org", *words, cwd=project)
    return project


async def measure(quick: bool) -> Figures:
    files, rounds = (500, 2) if quick else (2000, 7)
    with scratch() as place:
        project = _project(place, files)
        environment = os.environ | {"SANDSTONE_HOME": str(place / "home"), "MYPY_CACHE_DIR": "/dev/null"}
        validate: list[str | Path] = [_BIN / "sandstone", "validate", "--checks", _CHECKS, "--quiet"]
        step = files // _CHANGED
        names: list[str | Path] = []
        runs: dict[str, Callable[[], None]] = {
            "50 changed files, for the first time": partial(_run, validate, project, environment),
            "50 changed files, again": partial(_run, validate, project, environment),
            "all files, for the first time": partial(_run, [*validate, "--all"], project, environment),
            "all files, again": partial(_run, [*validate, "--all"], project, environment),
            "by hand: ruff and mypy, the 50 files": lambda: _by_hand(names, project, environment),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        for number in range(1, rounds + 2):
            names[:] = [_write(project, index, number) for index in range(0, files, step)]
            for name, run in runs.items():
                taken = timed(run)
                if number > 1:
                    times[name].append(taken)
    return {name: summary(values) for name, values in times.items()}


def _by_hand(names: Sequence[str | Path], project: Path, environment: dict[str, str]) -> None:
    _run([_BIN / "ruff", "check", "--no-cache", *names], project, environment)
    _run([_BIN / "mypy", *names], project, environment)


def _run(command: Sequence[str | Path], project: Path, environment: dict[str, str]) -> None:
    call(*command, cwd=project, env=environment, stdin=subprocess.DEVNULL)
