"""Turns between processes: who makes an image holds a lock file, everyone else waits and finds it made.

The lock is the kernel's (flock), so a process that dies gives it back. Lock files are left in place: removing
one would let two processes hold "the" lock.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

_LOOK_AGAIN_SECONDS: Final = 0.1


@asynccontextmanager
async def turn(lock_file: Path) -> AsyncIterator[None]:
    """Hold `lock_file` (made where missing, with its directory); waits for as long as somebody else holds it."""
    descriptor = await asyncio.to_thread(_open, lock_file)
    try:
        # No event tells: the holder is another process, and waiting in flock itself could not be cancelled.
        while not _taken(descriptor):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _open(lock_file: Path) -> int:
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    return os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
