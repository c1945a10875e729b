"""The attempts after the first, on tenacity's schedule. Only steps that are tried again load it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol, TypeVar

import tenacity

T = TypeVar("T")


class Waits(Protocol):
    """How often, and with which waits between; see `RetryPolicy`."""

    @property
    def attempts(self) -> int: ...
    @property
    def initial(self) -> timedelta: ...
    @property
    def factor(self) -> float: ...
    @property
    def maximum(self) -> timedelta: ...
    @property
    def jitter(self) -> timedelta: ...


async def again(
    first: T,
    waits: Waits,
    sleep: Callable[[timedelta], Awaitable[None]],
    attempt: Callable[[int], Awaitable[T]],
    may_retry: Callable[[T], bool],
    before_wait: Callable[[int, T, timedelta], Awaitable[None]],
) -> T:
    """Go on after the first attempt, which came to `first`; the outcome of the last one."""

    async def announce(state: tenacity.RetryCallState) -> None:
        outcome, action = state.outcome, state.next_action
        assert outcome is not None
        assert action is not None
        await before_wait(state.attempt_number, outcome.result(), timedelta(seconds=action.sleep))

    async def sleep_seconds(seconds: float) -> None:
        await sleep(timedelta(seconds=seconds))

    retrying = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(waits.attempts),
        wait=tenacity.wait_exponential(
            multiplier=waits.initial.total_seconds(),
            exp_base=waits.factor,
            max=waits.maximum.total_seconds(),
        )
        + tenacity.wait_random(0, waits.jitter.total_seconds()),
        retry=tenacity.retry_if_result(may_retry),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        before_sleep=announce,
        sleep=sleep_seconds,
    )
    number = 0

    async def numbered() -> T:
        nonlocal number
        number += 1
        return first if number == 1 else await attempt(number)

    result: T = await retrying(numbered)
    return result
