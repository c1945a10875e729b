"""Pause and cancel as they reach one running execution.

The engine's verbs set wishes here; the driver looks at them between steps, and the sandbox that runs at the
moment is frozen, thawed or killed at once. Lives on one event loop; nothing here blocks.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from enum import StrEnum

from engine.clock import Clock
from sandbox.sandbox import Sandbox


class PauseMode(StrEnum):
    """now: freeze the running sandbox, its limits' clocks stop. after_step: let the running step end first."""

    NOW = "now"
    AFTER_STEP = "after_step"


class RunControl:
    """The wishes about one execution and the sandboxes that run for it now."""

    def __init__(self) -> None:
        self._sandboxes: list[Sandbox] = []
        self._cancelled = asyncio.Event()
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._frozen = False
        self.cancel_reason = ""
        self.pause_reason = ""

    # -- wishes ----------------------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def pause_wanted(self) -> bool:
        return not self._resumed.is_set()

    @property
    def frozen(self) -> bool:
        return self._frozen

    async def cancel(self, reason: str) -> None:
        """Kill what runs; every later `admit` refuses. Idempotent."""
        if not self._cancelled.is_set():
            self.cancel_reason = reason
            self._cancelled.set()
        self._resumed.set()
        for sandbox in tuple(self._sandboxes):
            await sandbox.kill()

    async def pause(self, mode: PauseMode, reason: str) -> None:
        """Ask for a pause; with `now` what runs is frozen when this returns. Idempotent."""
        if self.cancelled:
            return
        self.pause_reason = reason
        self._resumed.clear()
        if mode is PauseMode.NOW:
            self._frozen = True
            for sandbox in tuple(self._sandboxes):
                await sandbox.freeze()

    async def resume(self) -> None:
        """Take the pause back and thaw what was frozen. Idempotent."""
        if self._frozen:
            self._frozen = False
            for sandbox in tuple(self._sandboxes):
                await sandbox.thaw()
        self._resumed.set()

    # -- the driver's side -----------------------------------------------------------------------

    async def admit(self, sandbox: Sandbox) -> bool:
        """A sandbox is about to run. False when the execution was cancelled: close it unused."""
        if self.cancelled:
            return False
        self._sandboxes.append(sandbox)
        if self._frozen:
            # Claimed while frozen: let it start only after the thaw.
            await self._resumed.wait()
        return not self.cancelled

    def dismiss(self, sandbox: Sandbox) -> None:
        """The sandbox has ended."""
        if sandbox in self._sandboxes:
            self._sandboxes.remove(sandbox)

    async def until_resumed(self) -> None:
        """Wait until no pause is wanted (a cancel also ends the wait)."""
        await self._resumed.wait()

    async def sleep(self, clock: Clock, span: timedelta) -> None:
        """Sleep, but no longer than until a cancel."""
        if self.cancelled:
            return
        sleeper = asyncio.ensure_future(clock.sleep(span))
        watcher = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({sleeper, watcher}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            watcher.cancel()
            await asyncio.gather(sleeper, watcher, return_exceptions=True)
