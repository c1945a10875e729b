"""Programs of the host that making an image needs (pip, mmdebstrap), run so that nothing of them is left behind.

A program gets a process group of its own, no stdin, and a time limit. Its output comes line by line and is kept
only at its end. When the caller is cancelled, or the limit is over, the whole group is killed first.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

Progress = Callable[[str], None]
"""Takes one line (no newline, not escaped for a terminal); returns at once."""

_LINE_BYTES: Final = 64 * 1024
_TAIL_LINES: Final = 40
_SHOWN_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. exit_code: negative for a signal, None when its time was over."""

    exit_code: int | None
    output_tail: str


class Tail:
    """The last lines of an output."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_TAIL_LINES)

    def add(self, line: str) -> None:
        self._lines.append(line[:_SHOWN_CHARACTERS])

    def text(self) -> str:
        return "\n".join(self._lines)


def silent(line: str) -> None:
    """The progress of nobody."""


async def run_program(
    argv: Sequence[str],
    *,
    limit: timedelta,
    progress: Progress = silent,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run `argv` (absolute path or found in PATH) to its end.

    environment: instead of this process's own. Raises FileNotFoundError: there is no such program.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment) if environment is not None else None,
        start_new_session=True,
        limit=_LINE_BYTES,
    )
    tail = Tail()
    try:
        async with asyncio.timeout(limit.total_seconds()):
            await _read_lines(process, tail, progress)
            return Ended(await process.wait(), tail.text())
    except TimeoutError:
        return Ended(None, tail.text())
    finally:
        await _end(process)


async def _read_lines(process: asyncio.subprocess.Process, tail: Tail, progress: Progress) -> None:
    assert process.stdout is not None
    while True:
        try:
            line = await process.stdout.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            line = await process.stdout.readexactly(error.consumed)
        except asyncio.IncompleteReadError as error:
            if not error.partial:
                return
            line = error.partial
        if text := line.decode(errors="replace").rstrip():
            tail.add(text)
            progress(text)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of the group, and reap the program itself."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # All of it has ended.
    await process.wait()
