"""How a process is told where to die. That it does, and what comes of it, is in tests/faults/test_failpoints.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from sandbox.failpoints import VARIABLE, Armed

COUNTS = """
from sandbox.failpoints import SandboxPoint, reached
for number in range(1, 4):
    print(number, flush=True)
    reached(SandboxPoint.RUNNING)
    reached(SandboxPoint.BEFORE_SEAL)
"""


def counted(variable: str | None) -> tuple[int, list[str]]:
    environment = {**os.environ, **({} if variable is None else {VARIABLE: variable})}
    done = subprocess.run([sys.executable, "-c", COUNTS], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.split()


def test_without_the_variable_nothing_happens() -> None:
    assert counted(None) == (0, ["1", "2", "3"])
    assert counted("") == (0, ["1", "2", "3"])


def test_the_process_kills_itself_at_the_nth_time_and_nowhere_else() -> None:
    assert counted("running") == (-signal.SIGKILL, ["1"])
    assert counted("running:2") == (-signal.SIGKILL, ["1", "2"])
    assert counted("running:4") == (0, ["1", "2", "3"])
    assert counted("after-seal") == (0, ["1", "2", "3"])


def test_another_signal_can_be_asked_for() -> None:
    assert counted("before-seal:2:TERM") == (-signal.SIGTERM, ["1", "2"])
    assert counted("before-seal:USR1") == (-signal.SIGUSR1, ["1"])


@pytest.mark.parametrize("text", [":1", "running:1:KILL:more", "running:NOSIGNAL", "running:x:KILL"])
def test_what_is_no_point_is_refused_at_once(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        Armed.parse(text)
