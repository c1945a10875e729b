"""What signals do to a command."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import engine.cli
from engine.cli.exits import Exit
from engine.cli.interrupts import Interrupts

ROOT = Path(engine.cli.__file__).parents[2]
PROGRAM = [sys.executable, "-m", "tests.unit.engine.cli.signalled_run"]


def interrupts() -> tuple[Interrupts, list[object]]:
    done: list[object] = []
    return Interrupts(lambda: done.append("restored"), done.append), done


def test_the_first_signal_acts_and_the_second_leaves() -> None:
    found, done = interrupts()
    with found.doing(lambda: done.append("cancel")):
        found.receive(signal.SIGTERM)
        found.receive(signal.SIGINT)
    assert done == ["cancel", "restored", 130]
    assert found.received is signal.SIGTERM
    assert found.exit is Exit.CANCELLED


def test_a_signal_before_the_block_acts_on_entering() -> None:
    found, done = interrupts()
    found.receive(signal.SIGINT)
    with found.doing(lambda: done.append("cancel")):
        assert done == ["cancel"]
    assert found.exit is Exit.INTERRUPTED


def test_after_the_block_the_earlier_action_is_back() -> None:
    found, done = interrupts()
    with found.doing(lambda: done.append("outer")):
        with found.doing(lambda: done.append("inner")):
            pass
        found.receive(signal.SIGINT)
    assert done == ["outer"]


def wait_for(descriptor: int, text: bytes, limit_s: float = 30.0) -> bytes:
    """What comes out of a descriptor until `text` is in it."""
    seen = b""
    while text not in seen:
        ready, _, _ = select.select([descriptor], [], [], limit_s)
        assert ready, f"{text!r} did not come: {seen!r}"
        data = os.read(descriptor, 65536)
        assert data, f"{text!r} did not come: {seen!r}"
        seen += data
    return seen


def test_a_second_signal_leaves_at_once_though_the_cancel_hangs(tmp_path: Path, plan_file: Path) -> None:
    child = subprocess.Popen(
        [*PROGRAM, str(tmp_path / "home"), str(plan_file)], cwd=ROOT, stderr=subprocess.PIPE, bufsize=0
    )
    try:
        assert child.stderr is not None
        wait_for(child.stderr.fileno(), b"unit (test)")
        child.send_signal(signal.SIGINT)
        wait_for(child.stderr.fileno(), b"a second signal leaves at once")
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=30) == 130
    finally:
        child.kill()
        child.communicate()


def test_a_terminal_gets_a_live_board_and_its_cursor_back(tmp_path: Path, plan_file: Path) -> None:
    terminal, child_side = pty.openpty()
    child = subprocess.Popen(
        [*PROGRAM, str(tmp_path / "home"), str(plan_file)],
        cwd=ROOT,
        stdin=child_side,
        stdout=child_side,
        stderr=child_side,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", "LC_ALL": "C.UTF-8"},
    )
    os.close(child_side)
    try:
        shown = wait_for(terminal, b"1GiB, 1 cpu, 2m")
        assert b"\x1b[?25l" in shown
        child.send_signal(signal.SIGTERM)
        wait_for(terminal, b"a second signal")
        child.send_signal(signal.SIGTERM)
        wait_for(terminal, b"\x1b[?25h")
        assert child.wait(timeout=30) == 130
    finally:
        child.kill()
        child.wait()
        os.close(terminal)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_that_does_nothing_special(
    number: signal.Signals, make_application, sandstone, plan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = make_application()

    async def slow_start(*_: object, **__: object) -> str:
        os.kill(os.getpid(), number)
        import asyncio

        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(application.engine, "start", slow_start)
    expected = 130 if number is signal.SIGINT else 4
    assert sandstone(application, "run", plan_file) == expected
