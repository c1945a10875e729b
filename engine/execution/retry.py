"""When a failed attempt is tried again, and after how long. The schedule is tenacity's.

| outcome                                   | without `retry` and `flaky` | with `retry` or `flaky` |
|-------------------------------------------|-----------------------------|-------------------------|
| sandbox unavailable (not the code's fault) | tried again                 | tried again             |
| command failed, check failed, limit hit    | final                       | tried again             |
| step refused (path, policy, bad patch)     | final                       | final                   |
| cancelled                                  | final                       | final                   |

Every attempt starts from the same checkpoint in a fresh sandbox.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TypeVar

from engine.execution.attempt import AttemptOutcome
from engine.plan.model import StepSettings

T = TypeVar("T")


class OutcomeClass(Enum):
    """What kind of ending an attempt had, as far as trying again is concerned."""

    SUCCEEDED = "succeeded"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """attempts: in all. Waits: initial, initial*factor, ... up to `maximum`, plus up to `jitter` at random.

    on_failure: also try again what simply failed.
    """

    attempts: int = 3
    initial: timedelta = timedelta(milliseconds=500)
    factor: float = 2.0
    maximum: timedelta = timedelta(seconds=8)
    jitter: timedelta = timedelta(milliseconds=250)
    on_failure: bool = False

    def may_retry(self, outcome: OutcomeClass) -> bool:
        """The table above."""
        return outcome is OutcomeClass.UNAVAILABLE or (outcome is OutcomeClass.FAILED and self.on_failure)


async def with_retry(
    policy: RetryPolicy,
    sleep: Callable[[timedelta], Awaitable[None]],
    attempt: Callable[[int], Awaitable[T]],
    classify: Callable[[T], OutcomeClass],
    before_wait: Callable[[int, T, timedelta], Awaitable[None]],
) -> T:
    """Call `attempt(1)`, `attempt(2)`, ... until it may not or need not be tried again; the last result.

    `before_wait(number of the attempt that failed, its result, wait)` is called before each wait, and
    `sleep` waits; a cancelled execution makes it return early and its next attempt come back cancelled.
    """

    first = await attempt(1)
    if not policy.may_retry(classify(first)):
        return first
    from engine.execution.schedule import again

    return await again(first, policy, sleep, attempt, lambda outcome: policy.may_retry(classify(outcome)), before_wait)


def retry_policy(settings: StepSettings) -> RetryPolicy:
    """The retry policy that a step's settings ask for."""
    asked = settings.retry
    return RetryPolicy(
        attempts=asked.attempts,
        initial=asked.initial,
        factor=asked.factor,
        maximum=asked.max,
        jitter=asked.jitter,
        on_failure=settings.retry_failures,
    )


def classify(outcome: AttemptOutcome) -> OutcomeClass:
    """How an outcome counts for retrying."""
    if outcome.ok:
        return OutcomeClass.SUCCEEDED
    if outcome.cancelled:
        return OutcomeClass.CANCELLED
    if outcome.refused:
        return OutcomeClass.REFUSED
    if outcome.unavailable:
        return OutcomeClass.UNAVAILABLE
    return OutcomeClass.FAILED
