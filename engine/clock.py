"""Time as something handed in, so that tests never wait and clock jumps change nothing.

Limits and pauses use `monotonic`; records of when something happened use `now`.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The wall clock, timezone-aware UTC; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards; only differences mean anything."""
        ...

    async def sleep(self, span: timedelta) -> None:
        """Return after `span` (at once when it is not positive)."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, span: timedelta) -> None:
        await asyncio.sleep(max(0.0, span.total_seconds()))


class ManualClock:
    """A clock that moves only when told; sleepers wake when their time comes."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self.slept: list[timedelta] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, span: timedelta) -> None:
        self.slept.append(span)
        if span <= timedelta(0):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._elapsed + span.total_seconds(), future))
        await future

    def advance(self, span: timedelta) -> None:
        """Move time forward and wake who slept until then."""
        self._now += span
        self._elapsed += span.total_seconds()
        due = [entry for entry in self._sleepers if entry[0] <= self._elapsed]
        self._sleepers = [entry for entry in self._sleepers if entry[0] > self._elapsed]
        for _, future in due:
            if not future.done():
                future.set_result(None)
