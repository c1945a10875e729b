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
import resource
import shutil
import subprocess
from collections.abc import Iterator

from engine.validation.programs.looking import Report, arguments_of, done, emit, selected

MAX_TAIL_BYTES = 3000
MAX_JUNIT_BYTES = 2 << 20
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
        _run("pytest", [_program("python3"), "-m", "pytest"], _pytest_words(only), len(tests))
        ran += 1
    if not only:
        for runner, command in _others():
            _run(runner, [_program(command[0]), *command[1:]], [], 0)
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
    return os.path.isfile("pytest.ini") or any(section in _text(name) for name, section in SETTINGS)


def _others() -> Iterator[tuple[str, list[str]]]:
    try:
        scripts = json.loads(_text("package.json") or "{}").get("scripts", {})
        script = scripts.get("test", "") if isinstance(scripts, dict) else ""
    except (ValueError, AttributeError, RecursionError):
        script = ""
    if script and script != NO_TEST:
        yield "npm", ["npm", "test", "--silent"]
    if os.path.isfile("go.mod"):
        yield "go", ["go", "test", "./..."]
    if os.path.isfile("Cargo.toml"):
        yield "cargo", ["cargo", "test", "--offline", "--quiet"]


def _text(name: str) -> str:
    """The text of a regular file at the top, "" when there is none."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(1 << 20).decode("utf-8", "replace") if os.path.isfile(name) else ""


def _program(name: str) -> str:
    """Its path, as the driver's PATH has it: without what is inside the workspace. "" when it is missing."""
    return shutil.which(name) or ""


def _report_path() -> str:
    return os.path.join(os.environ["TMPDIR"], "junit.xml")


def _pytest_words(only: list[str]) -> list[str]:
    words = ["-q", "--tb=short", "-p", "no:cacheprovider", "-o", "junit_family=xunit1"]
    return [*words, "--junitxml=" + _report_path(), "--", *only] if only else [*words, "--junitxml=" + _report_path()]


def _run(runner: str, command: list[str], words: list[str], files: int) -> None:
    """Run it to its end, and say how it ended."""
    if not command[0] or (runner == "pytest" and not _has_pytest(command[0])):
        emit({"runner": runner, "exit": None, "tail": "", "junit": None, "files": files})
        return
    said = os.path.join(os.environ["TMPDIR"], "said")
    more = {"GOPROXY": "off", "GOFLAGS": "-mod=mod", "CARGO_TARGET_DIR": os.path.join(os.environ["TMPDIR"], "target")}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    if os.path.isdir("src"):
        more["PYTHONPATH"] = os.path.abspath("src")  # as it is where the project is installed for work on it
    with open(said, "wb") as out:
        ended = subprocess.run(
            [*command, *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**environment, **more},
            check=False,
            preexec_fn=_files_of_any_size,
        )
    junit = _end(_report_path(), MAX_JUNIT_BYTES, whole=True) if runner == "pytest" else None
    tail = _end(said, MAX_TAIL_BYTES) or ""
    emit({"runner": runner, "exit": ended.returncode, "tail": tail, "junit": junit, "files": files})


def _has_pytest(python: str) -> bool:
    words = [python, "-I", "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('pytest') is None)"]
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode == 0


def _files_of_any_size() -> None:
    """The driver bounds a tool's own output; what tests write is theirs."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def _end(path: str, most: int, *, whole: bool = False) -> str | None:
    """The last `most` bytes of a file; whole: None when there are more."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        size = os.fstat(descriptor).st_size
        if whole and size > most:
            return None
        stream.seek(max(0, size - most))
        return stream.read(most).decode("utf-8", "replace")
