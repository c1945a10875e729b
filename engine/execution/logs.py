"""What attempts printed, masked, one file a stream: `logs/<execution>/<index>-<attempt>.<stream>`.

At most the bytes that the sandbox kept (head and tail, with a marker between). Blocking.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.failpoints import EnginePoint
from sandbox.failpoints import reached
from sandbox.spec import Stream

TAIL_BYTES: Final = 4096
_UNFINISHED: Final = ".part"
_NAME: Final = re.compile(r"(\d+)-(\d+)\.(stdout|stderr)")


@dataclass(frozen=True, slots=True)
class LogFile:
    """One stream of one attempt."""

    step_index: int
    attempt: int
    stream: Stream
    path: Path


class LogStore:
    """The log files of all executions."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, execution_id: str, step_index: int, attempt: int, outputs: dict[Stream, bytes]) -> None:
        """Keep what an attempt printed; empty streams leave no file."""
        directory = self._directory / execution_id
        for stream, data in outputs.items():
            if not data:
                continue
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = directory / f"{step_index}-{attempt}.{stream.value}"
            temporary = path.with_suffix(path.suffix + _UNFINISHED)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            reached(EnginePoint.LOG_WRITTEN)
            temporary.rename(path)

    def files(self, execution_id: str) -> Iterator[LogFile]:
        """In order of step, attempt, stream."""
        directory = self._directory / execution_id
        if not directory.is_dir():
            return
        found = []
        for path in directory.iterdir():
            match = _NAME.fullmatch(path.name)
            if match:
                found.append(LogFile(int(match[1]), int(match[2]), Stream(match[3]), path))
        yield from sorted(found, key=lambda log: (log.step_index, log.attempt, log.stream.value))

    def inherit(self, origin: str, execution_id: str, attempts: Mapping[int, int]) -> None:
        """Give an execution the logs of another's attempts, up to a number for each step's index; no byte is copied.

        What is not there any more is left out.
        """
        directory = self._directory / execution_id
        for log in self.files(origin):
            if log.attempt <= attempts.get(log.step_index, 0):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # the origin was removed just now
                    os.link(log.path, directory / log.path.name)

    def tidy(self, execution_id: str) -> None:
        """Delete what a process that died was writing. Preconditions: none writes for this execution."""
        for path in (self._directory / execution_id).glob(f"*{_UNFINISHED}"):
            path.unlink(missing_ok=True)

    def remove(self, execution_id: str) -> None:
        """Delete an execution's logs."""
        directory = self._directory / execution_id
        if directory.is_dir():
            shutil.rmtree(directory)
