"""No text makes a rule take more than a moment: the patterns are matched in one way only."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.plan.refusal import ValueRefusedError
from engine.plan.rules import check_image


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    def too_long(*_: object) -> None:
        raise AssertionError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("part", ["a.", "a-", "a/", "a_", "aa.", "a.b-"])
def test_a_long_image_name_is_refused_at_once(part: str) -> None:
    with at_most(5), pytest.raises(ValueRefusedError):
        check_image((part * 250)[:500] + "!")
