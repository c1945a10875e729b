"""Bounds on calls."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.clock import ManualClock
from engine.rpc.status import OverloadedError
from engine.rpc.turnstile import TokenBucket, Turnstile


def test_tokens_come_back_with_time_and_never_beyond_the_burst() -> None:
    clock = ManualClock()
    bucket = TokenBucket(rate=10, burst=2, clock=clock)
    clock.advance(timedelta(hours=1))
    bucket.take()
    bucket.take()
    with pytest.raises(OverloadedError):
        bucket.take()
    clock.advance(timedelta(milliseconds=101))
    bucket.take()


def test_a_full_turnstile_lets_in_when_somebody_has_left() -> None:
    turnstile = Turnstile("guests", 1)
    with turnstile.passing(), pytest.raises(OverloadedError, match="too many guests: the limit is 1"):
        turnstile.passing().__enter__()
    with turnstile.passing():
        assert turnstile.inside == 1
    assert turnstile.inside == 0
