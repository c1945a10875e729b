"""Getting rid of used containers in the background, a few at a time, each with its slot.

Removing takes the engine 5 to 100 ms, which no step should wait for, and some of this process's time, so it is put
off a little: when one step ends, the next is about to begin. `drain` puts nothing off and waits for all of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from sandbox.docker.container import Container
from sandbox.errors import SandboxUnavailableError
from sandbox.failpoints import SandboxPoint, reached

_LOG: Final = logging.getLogger(__name__)
_AT_ONCE: Final = 2
_PATIENCE: Final = 0.2


class Removals:
    """Removes containers, and slots once their container is gone."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()

    def add(self, container: Container, slot: Path | None, *, at_once: bool = False) -> None:
        """Kill and remove `container`, then the empty directory `slot`. Returns at once.

        at_once: nobody is going to need the engine soon.
        """
        # Nothing of it may run while it queues here.
        container.init.kill()
        task = asyncio.ensure_future(self._remove(container, slot, at_once))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Take over what still has to be done about a container that nobody waits for. Returns at once."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait until everything added so far is gone."""
        self._hurry.set()
        while self._tasks:
            await asyncio.gather(*self._tasks)
        self._hurry.clear()

    async def _bide(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._hurry.wait()
        except TimeoutError:
            return

    async def _remove(self, container: Container, slot: Path | None, at_once: bool) -> None:
        if not at_once:
            await self._bide()
        async with self._slots:
            try:
                await container.kill()
            except SandboxUnavailableError as error:
                _LOG.warning("container %s: %s", container.id[:12], error)
            await container.remove()
            reached(SandboxPoint.CONTAINER_REMOVED)
            if slot is not None:
                await asyncio.to_thread(remove_slot, slot)


def remove_slot(slot: Path) -> None:
    """Remove an empty slot. One that is mounted or not empty is left to the store's cleanup."""
    try:
        slot.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        _LOG.warning("slot %s stays: %s", slot.name, error)
