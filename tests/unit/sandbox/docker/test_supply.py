"""What the pool starts and stops: pure decisions."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from sandbox.docker.supply import Decision, Idle, PoolBounds, decide, wishes
from sandbox.spec import GIB, ContainerLimits, SandboxSpec


def spec(name: str, memory: int = 1) -> SandboxSpec:
    return SandboxSpec(f"sha256:{name}", ContainerLimits(memory_bytes=memory * GIB))


A, B, C, BIG = spec("a"), spec("b"), spec("c"), spec("big", 6)
NO_AGE, OLD = timedelta(seconds=1), timedelta(hours=1)
BOUNDS = PoolBounds(per_spec=3, total=6, memory_bytes=8 * GIB, starts=2, max_age=timedelta(minutes=10))


def idle(name: str, kind: SandboxSpec, age: timedelta = NO_AGE) -> Idle:
    return Idle(name, kind, age)


def test_nothing_is_kept_when_nothing_is_wanted() -> None:
    assert decide([], [], [], BOUNDS) == Decision()


def test_what_is_wanted_is_started_most_urgent_first_and_few_at_once() -> None:
    assert decide([A, B, C], [], [], BOUNDS) == Decision(start=(A, B))


def test_a_start_under_way_counts_as_had_and_as_a_start() -> None:
    assert decide([A, B, C], [], [A], BOUNDS) == Decision(start=(B,))
    assert decide([A, B, C], [], [A, B], BOUNDS) == Decision()


def test_what_waits_is_not_started_again() -> None:
    assert decide([A, A], [idle("1", A)], [], BOUNDS) == Decision(start=(A,))
    assert decide([A], [idle("1", A)], [], BOUNDS) == Decision()


def test_no_kind_is_kept_in_more_than_its_share() -> None:
    waiting = [idle(str(number), A) for number in range(3)]
    assert decide([A] * 10, waiting, [], BOUNDS) == Decision()


def test_surplus_waits_on_as_long_as_there_is_room() -> None:
    assert decide([], [idle("1", A)], [], BOUNDS) == Decision()


def test_surplus_makes_room_longest_waiting_first() -> None:
    waiting = [idle(str(number), A, timedelta(seconds=number)) for number in range(6)]
    assert decide([B], waiting, [], BOUNDS) == Decision(start=(B,), stop=("5",))


def test_what_is_wanted_never_makes_room() -> None:
    waiting = [idle(str(number), kind) for number, kind in enumerate([A, A, A, B, B, B])]
    assert decide([A, A, A, B, B, B, C], waiting, [], BOUNDS) == Decision()


def test_the_old_are_stopped_and_replaced_when_still_wanted() -> None:
    assert decide([A], [idle("1", A, OLD)], [], BOUNDS) == Decision(start=(A,), stop=("1",))
    assert decide([], [idle("1", A, OLD)], [], BOUNDS) == Decision(stop=("1",))


def test_memory_is_bounded_in_all() -> None:
    assert decide([BIG, BIG, A], [], [], BOUNDS) == Decision(start=(BIG, A))


def test_a_kind_that_never_fits_is_never_kept() -> None:
    assert decide([spec("huge", 9)], [], [], BOUNDS) == Decision()


@given(
    wanted=st.lists(st.sampled_from([A, B, C, BIG]), max_size=10),
    waiting=st.lists(st.tuples(st.sampled_from([A, B, C, BIG]), st.sampled_from([NO_AGE, OLD])), max_size=8),
    starting=st.lists(st.sampled_from([A, B, BIG]), max_size=2),
)
def test_bounds_hold_whatever_was_there_before(
    wanted: list[SandboxSpec], waiting: list[tuple[SandboxSpec, timedelta]], starting: list[SandboxSpec]
) -> None:
    rows = [idle(str(number), kind, age) for number, (kind, age) in enumerate(waiting)]
    decision = decide(wanted, rows, starting, BOUNDS)
    kept = [row.spec for row in rows if row.id not in decision.stop]
    assert all(row.age < BOUNDS.max_age for row in rows if row.id not in decision.stop)
    assert len(set(decision.stop)) == len(decision.stop)
    if decision.start:
        held = [*kept, *starting, *decision.start]
        assert len(held) <= BOUNDS.total
        assert sum(one.limits.memory_bytes for one in held) <= BOUNDS.memory_bytes
        assert len(starting) + len(decision.start) <= BOUNDS.starts
    for kind in decision.start:
        assert [*kept, *starting, *decision.start].count(kind) <= min(BOUNDS.per_spec, wanted.count(kind))


def test_owners_take_turns() -> None:
    assert wishes({"two": [B, B], "one": [A, A, A]}, []) == [A, B, A, B, A]


def test_what_was_claimed_lately_is_wished_for_last_and_once() -> None:
    assert wishes({"one": [A]}, [B, A]) == [A, B]
    assert wishes({}, [A]) == [A]
