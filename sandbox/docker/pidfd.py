"""PID 1 of a container, held by a pidfd: the kernel's own word on whether it lives and how it ended.

A pidfd names a process, not a number, so nothing here can hit a stranger. PID 1 of a pid namespace ends last:
the kernel kills and reaps every other process of the namespace first. When the pidfd polls readable, the whole
sandbox is dead.
"""

from __future__ import annotations

import asyncio
import fcntl
import functools
import os
import re
import signal
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from sandbox.docker.verdict import GateExit

_PIDFD_GET_INFO: Final = 0xC040FF0B
"""_IOWR(0xFF, 11, struct pidfd_info) with the structure's first published size, 64 bytes."""

_PIDFD_INFO_EXIT: Final = 1 << 3
_INFO_BYTES: Final = 64
_EXIT_CODE_OFFSET: Final = 60
_TELLS_EXIT_SINCE: Final = (6, 15)
_REAP_POLL: Final = 0.0002
_REAP_LIMIT: Final = 0.1


class InitProcess:
    """PID 1 of a running container, as the host sees it. `dead` is set once no process of it is left."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self.dead = asyncio.Event()
        self._descriptor = descriptor
        self._listeners: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._on_death)

    @classmethod
    def open(cls, pid: int, container_id: str, proc: Path = Path("/proc")) -> InitProcess | None:
        """Take hold of `pid`; None when it has already ended, or the number now belongs to someone else."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return None
        try:
            ours = container_id in (proc / str(pid) / "cgroup").read_text()
        except OSError:
            ours = False
        if not ours:
            os.close(descriptor)
            return None
        return cls(pid, descriptor)

    def on_death(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the event loop at the moment of death, or now when that has passed."""
        if self.dead.is_set():
            listener()
        else:
            self._listeners.append(listener)

    def kill(self) -> bool:
        """SIGKILL it, and with it everything in the container. False: this user may not; ask the engine."""
        if self.dead.is_set():
            return True
        try:
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return True

    async def wait_dead(self, limit: timedelta) -> bool:
        """Wait for death, at most `limit`; False when it still lives."""
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await self.dead.wait()
        except TimeoutError:
            return False
        return True

    async def exit_status(self) -> GateExit | None:
        """How it ended; None when this kernel does not tell (before Linux 6.15).

        Preconditions: `dead` is set. The kernel tells once the parent has reaped it: a moment later.
        """
        if _kernel_version() < _TELLS_EXIT_SINCE:
            return None
        deadline = self._loop.time() + _REAP_LIMIT
        while self._descriptor >= 0:
            try:
                status = _exit_information(self._descriptor)
            except ProcessLookupError:
                status = None  # dead, but not yet reaped
            except OSError:
                return None  # an ioctl that this kernel does not know
            if status is not None:
                return GateExit(signal=status & 0x7F) if status & 0x7F else GateExit(code=status >> 8 & 0xFF)
            if self._loop.time() > deadline:
                return None
            await asyncio.sleep(_REAP_POLL)
        return None

    def close(self) -> None:
        """Let go of the pidfd. Idempotent. Listeners are dropped."""
        if self._descriptor >= 0:
            self._listeners.clear()
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _on_death(self) -> None:
        self._loop.remove_reader(self._descriptor)
        self.dead.set()
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()


@functools.cache
def _kernel_version() -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _exit_information(descriptor: int) -> int | None:
    """The raw wait status that the kernel keeps for a pidfd; None when it keeps none (yet)."""
    information = bytearray(_INFO_BYTES)
    struct.pack_into("=Q", information, 0, _PIDFD_INFO_EXIT)
    fcntl.ioctl(descriptor, _PIDFD_GET_INFO, information)
    (mask,) = struct.unpack_from("=Q", information, 0)
    if not mask & _PIDFD_INFO_EXIT:
        return None
    (status,) = struct.unpack_from("=i", information, _EXIT_CODE_OFFSET)
    return int(status)
