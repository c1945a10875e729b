"""One live process at a time works on an execution: a lock file each, locked with flock.

The kernel drops the lock when the process dies, so nothing is ever stale.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from engine.errors import ExecutionLockedError


class ExecutionLocks:
    """The lock files under one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def acquire(self, execution_id: str) -> int:
        """Lock it; returns a descriptor that `release` takes. Raises ExecutionLockedError at once if taken."""
        path = self._directory / execution_id
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(fd, 32).decode("ascii", "replace").strip()
            os.close(fd)
            raise ExecutionLockedError(execution_id, int(owner) if owner.isdigit() else 0) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        return fd

    def release(self, fd: int) -> None:
        """Give the lock back."""
        os.close(fd)

    @contextmanager
    def held(self, execution_id: str) -> Iterator[None]:
        """Hold the lock for the block."""
        fd = self.acquire(execution_id)
        try:
            yield
        finally:
            self.release(fd)

    def forget(self, execution_id: str) -> None:
        """Remove the file of an execution that is gone; the caller holds the lock."""
        (self._directory / execution_id).unlink(missing_ok=True)


class OneAtATime:
    """Lets one task of this process at a time do something about an execution; the others wait. On one event loop."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def alone(self, execution_id: str) -> AsyncIterator[None]:
        """Wait until no other task is within such a block for this execution."""
        lock, users = self._locks.get(execution_id, (asyncio.Lock(), 0))
        self._locks[execution_id] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(execution_id)
            if users > 1:
                self._locks[execution_id] = lock, users - 1
