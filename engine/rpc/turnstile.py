"""Bounds on calls: how many streams are open at once, how many calls come in a second. No effects but counting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from engine.clock import Clock
from engine.rpc.status import OverloadedError


class Turnstile:
    """Lets at most `limit` of `what` in at the same time."""

    def __init__(self, what: str, limit: int) -> None:
        self._what = what
        self._limit = limit
        self.inside = 0

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Be inside for the block. Raises OverloadedError: it is full."""
        if self.inside >= self._limit:
            raise OverloadedError(self._what, self._limit)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


class TokenBucket:
    """`rate` tokens come in a second, up to `burst` are kept; each call takes one."""

    def __init__(self, rate: int, burst: int, clock: Clock) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._counted = clock.monotonic()

    def take(self) -> None:
        """Raises OverloadedError: there is none; `retry_after` says when there will be."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._counted) * self._rate)
        self._counted = now
        if self._tokens < 1:
            wait = timedelta(seconds=(1 - self._tokens) / self._rate)
            raise OverloadedError("calls in a second", self._rate, wait)
        self._tokens -= 1
