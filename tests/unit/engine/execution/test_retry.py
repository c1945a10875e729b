"""The retry table and its schedule."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.execution.retry import OutcomeClass, RetryPolicy, with_retry

NO_JITTER = timedelta(0)


async def run(policy: RetryPolicy, outcomes: list[OutcomeClass]) -> tuple[OutcomeClass, int, list[float], list[int]]:
    waits: list[float] = []
    announced: list[int] = []
    calls = 0

    async def attempt(number: int) -> OutcomeClass:
        nonlocal calls
        calls += 1
        assert number == calls
        return outcomes[min(number, len(outcomes)) - 1]

    async def sleep(span: timedelta) -> None:
        waits.append(span.total_seconds())

    async def announce(number: int, outcome: OutcomeClass, wait: timedelta) -> None:
        announced.append(number)

    result = await with_retry(policy, sleep, attempt, lambda outcome: outcome, announce)
    return result, calls, waits, announced


async def test_an_unavailable_sandbox_is_tried_again_without_being_asked() -> None:
    outcomes = [OutcomeClass.UNAVAILABLE, OutcomeClass.SUCCEEDED]
    result, calls, _, announced = await run(RetryPolicy(jitter=NO_JITTER), outcomes)
    assert (result, calls, announced) == (OutcomeClass.SUCCEEDED, 2, [1])


async def test_a_plain_failure_is_final_unless_retry_was_asked_for() -> None:
    assert (await run(RetryPolicy(), [OutcomeClass.FAILED]))[1] == 1
    assert (await run(RetryPolicy(on_failure=True, jitter=NO_JITTER), [OutcomeClass.FAILED]))[1] == 3


@pytest.mark.parametrize("outcome", [OutcomeClass.REFUSED, OutcomeClass.CANCELLED, OutcomeClass.SUCCEEDED])
async def test_what_cannot_change_is_never_tried_again(outcome: OutcomeClass) -> None:
    assert (await run(RetryPolicy(on_failure=True), [outcome]))[1] == 1


async def test_waits_grow_by_the_factor_up_to_the_maximum() -> None:
    policy = RetryPolicy(
        attempts=5,
        initial=timedelta(milliseconds=500),
        factor=2,
        maximum=timedelta(seconds=2),
        jitter=NO_JITTER,
        on_failure=True,
    )
    _, calls, waits, _ = await run(policy, [OutcomeClass.FAILED])
    assert calls == 5
    assert waits == [0.5, 1.0, 2.0, 2.0]


async def test_jitter_only_adds_to_the_wait() -> None:
    policy = RetryPolicy(attempts=30, maximum=timedelta(milliseconds=500), jitter=timedelta(seconds=1), on_failure=True)
    _, _, waits, _ = await run(policy, [OutcomeClass.FAILED])
    assert all(0.5 <= wait <= 1.5 for wait in waits)
    assert len(set(waits)) > 1
