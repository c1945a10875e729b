"""The clock of an attempt, on an event loop whose time the test moves."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from sandbox.runclock import RunClock

SECOND = timedelta(seconds=1)


class Time:
    """Stands in for the event loop: time moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Any, Any]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Any) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(self.now + delay, callback, (), self)  # type: ignore[arg-type]
        self.timers.append((self.now + delay, callback, handle))
        return handle

    def _timer_handle_cancelled(self, handle: Any) -> None:
        self.timers = [timer for timer in self.timers if timer[2] is not handle]

    def get_debug(self) -> bool:
        return False

    def move(self, seconds: float) -> None:
        self.now += seconds
        for timer in [timer for timer in self.timers if timer[0] <= self.now]:
            self.timers.remove(timer)
            timer[1]()


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: time)
    return time


def test_it_starts_paused_and_the_limit_is_of_counted_time(time: Time) -> None:
    rung: list[str] = []
    clock = RunClock(10 * SECOND, lambda: rung.append("ding"))
    time.move(100)
    assert clock.elapsed == 0 * SECOND
    clock.resume()
    time.move(4)
    clock.pause()
    clock.pause()
    time.move(100)
    assert (clock.elapsed, rung) == (4 * SECOND, [])
    clock.resume()
    clock.resume()
    time.move(5)
    assert rung == []
    time.move(1)
    assert (clock.elapsed, rung) == (10 * SECOND, ["ding"])


def test_a_stopped_clock_stands_and_rings_no_more(time: Time) -> None:
    rung: list[str] = []
    clock = RunClock(10 * SECOND, lambda: rung.append("ding"))
    clock.resume()
    time.move(3)
    clock.stop()
    clock.stop()
    clock.resume()
    time.move(100)
    assert (clock.elapsed, rung) == (3 * SECOND, [])
