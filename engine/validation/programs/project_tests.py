"""Runs a project's own tests with the runners that its files ask for, and prints how each ended.

    python3 -I PROGRAMS project_tests SKIPPED [LISTING]

pytest where there are files of tests or a configuration of pytest, `npm test` where `package.json` has such a script,
`go test` where there is a `go.mod`, `cargo test` where there is a `Cargo.toml`; the last three at the workspace's top.
When all that is named are directories and files of Python tests, pytest runs those only and nothing else runs; else
everything runs, because any file can be what a test is about.

One JSON object a line: `{"runner", "exit", "tail", "junit"}` each, `exit` null when the runner is missing; the last
line is as in `looking.py`. Runners write to files, so that nothing that a test prints is taken for an answer.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator

from engine.validation.programs.looking import Report, arguments_of, done, emit, selected
from engine.validation.programs.running import MAX_TEXT_BYTES, end_of, run, script_of_package, temporary

MAX_JUNIT_BYTES = 3 << 20
"""As JSON. A check may print 4 MiB in all."""

SETTINGS = (("pyproject.toml", "[tool.pytest"), ("tox.ini", "[pytest]"), ("setup.cfg", "[tool:pytest]"))
NO_TEST = 'echo "Error: no test specified" && exit 1'
"""What `npm init` writes where there are no tests."""


def main(arguments: list[str]) -> None:
    skipped, listing = arguments_of(arguments)
    report = Report()
    only = _only(listing)
    tests = [path for path in selected(listing if only else None, skipped, report) if _is_test(path)]
    ran = 0
    if tests or (not only and _has_pytest_settings()):
        _run("pytest", [_program("python3"), "-m", "pytest"], _pytest_words(only))
        ran += 1
    if not only:
        for runner, command in _others():
            _run(runner, [_program(command[0]), *command[1:]], [])
            ran += 1
    done(report, len(tests) if tests else ran, [])


def _only(listing: str | None) -> list[str]:
    """What pytest shall run when all that is named are directories and files of tests; else []."""
    if listing is None:
        return []
    with open(listing, "rb") as stream:
        named = [path for path in stream.read().split(b"\n") if path and os.path.lexists(path)]
    if all((os.path.isdir(path) and not os.path.islink(path)) or _is_test(path) for path in named):
        return [os.fsdecode(path) for path in named]
    return []


def _is_test(path: bytes) -> bool:
    name = os.path.basename(path)
    return name.endswith(b"_test.py") or (name.startswith(b"test_") and name.endswith(b".py"))


def _has_pytest_settings() -> bool:
    return os.path.isfile("pytest.ini") or any(section in end_of(name, MAX_TEXT_BYTES) for name, section in SETTINGS)


def _others() -> Iterator[tuple[str, list[str]]]:
    script = script_of_package("test")
    if script and script != NO_TEST:
        yield "npm", ["npm", "test", "--silent"]
    if os.path.isfile("go.mod"):
        yield "go", ["go", "test", "./..."]
    if os.path.isfile("Cargo.toml"):
        yield "cargo", ["cargo", "test", "--offline", "--quiet"]


def _program(name: str) -> str:
    """Its path, as the driver's PATH has it: without what is inside the workspace. "" when it is missing."""
    return shutil.which(name) or ""


def _pytest_words(only: list[str]) -> list[str]:
    words = ["-q", "--tb=short", "-p", "no:cacheprovider", "-o", "junit_family=xunit1"]
    return [*words, "--junitxml=" + temporary("junit.xml"), *(["--", *only] if only else [])]


def _run(runner: str, command: list[str], words: list[str]) -> None:
    """Run it to its end, and say how it ended."""
    if not command[0] or (runner == "pytest" and not _has_pytest(command[0])):
        emit({"runner": runner, "exit": None, "tail": "", "junit": None})
        return
    # As it is where the project is installed to be worked on.
    more = {"PYTHONPATH": os.path.abspath("src")} if os.path.isdir("src") else {}
    code, tail = run([*command, *words], more)
    emit({"runner": runner, "exit": code, "tail": tail, "junit": _junit() if runner == "pytest" else None})


def _junit() -> str | None:
    """The report; None when there is none, or more of it than can be handed over."""
    text = end_of(temporary("junit.xml"), MAX_JUNIT_BYTES + 1)
    return text if text and len(json.dumps(text)) <= MAX_JUNIT_BYTES else None


def _has_pytest(python: str) -> bool:
    words = [python, "-I", "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('pytest') is None)"]
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode == 0
