"""Runs commands of the project for `building` and `project_tests`, and reads what they and the project leave.

What a command prints goes to a file, so that nothing of it is taken for an answer. Only regular files are read.
"""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
from collections.abc import Mapping, Sequence

MAX_TAIL_BYTES = 3000
MAX_TEXT_BYTES = 1 << 20


def run(command: Sequence[str], more: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Its exit code, negative for a signal, and the end of what it printed. more: for its environment."""
    said = temporary("said")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    offline = {"GOPROXY": "off", "CARGO_TARGET_DIR": temporary("target")}
    with open(said, "wb") as out:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**environment, **offline, **(more or {})},
            check=False,
            preexec_fn=_files_of_any_size,
        )
    return ended.returncode, end_of(said, MAX_TAIL_BYTES)


def _files_of_any_size() -> None:
    """The driver bounds a tool's own output; what tests and builds write is theirs."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def temporary(name: str) -> str:
    """A path outside of the workspace."""
    return os.path.join(os.environ["TMPDIR"], name)


def end_of(path: str, most: int) -> str:
    """The last `most` bytes of a regular file; "" when there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as stream:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            return ""
        stream.seek(max(0, state.st_size - most))
        return stream.read(most).decode("utf-8", "replace")


def script_of_package(name: str) -> str:
    """A script of the `package.json` at the top; "" when there is none."""
    try:
        scripts = json.loads(end_of("package.json", MAX_TEXT_BYTES) or "{}").get("scripts")
        script = scripts.get(name) if isinstance(scripts, dict) else None
    except (ValueError, AttributeError, RecursionError):
        return ""
    return script if isinstance(script, str) else ""
