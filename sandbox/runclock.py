"""The clock of an attempt: monotonic, stoppable, with a limit.

Time while the clock is paused is not counted, neither in what it shows nor towards the limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta


class RunClock:
    """Counts the time that an attempt runs and calls `on_limit` once, on the event loop, at its limit.

    A clock starts paused. After `stop` it shows the same time for ever and calls nothing.
    """

    def __init__(self, limit: timedelta, on_limit: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit.total_seconds()
        self._on_limit = on_limit
        self._counted = 0.0
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def elapsed(self) -> timedelta:
        """Time counted so far."""
        running = 0.0 if self._since is None else self._loop.time() - self._since
        return timedelta(seconds=self._counted + running)

    def resume(self) -> None:
        """Count from now. Idempotent."""
        if self._since is None and not self._stopped:
            self._since = self._loop.time()
            self._timer = self._loop.call_later(max(0.0, self._limit - self._counted), self._on_limit)

    def pause(self) -> None:
        """Stop counting until `resume`. Idempotent."""
        if self._since is not None:
            self._counted += self._loop.time() - self._since
            self._since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self) -> None:
        """Stop counting for good. Idempotent."""
        self.pause()
        self._stopped = True
