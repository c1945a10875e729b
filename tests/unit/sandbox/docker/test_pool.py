"""The pool at work, with containers that are only names."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from sandbox.docker.pool import PoolBounds, SandboxPool
from sandbox.errors import ImageRefusedError, SandboxUnavailableError
from sandbox.spec import SandboxSpec

A, B = SandboxSpec("sha256:a"), SandboxSpec("sha256:b")


@dataclass(eq=False)
class FakeInit:
    dead: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: list[Callable[[], None]] = field(default_factory=list)

    def on_death(self, listener: Callable[[], None]) -> None:
        self.listeners.append(listener)

    def die(self) -> None:
        self.dead.set()
        for listener in self.listeners:
            listener()


@dataclass(eq=False)
class FakeContainer:
    id: str
    spec: SandboxSpec
    init: FakeInit = field(default_factory=FakeInit)


class World:
    """Starts wait at the gate until it opens; then they succeed or fail as told."""

    def __init__(self, recent_kinds: int = 0) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.numbers = itertools.count(1)
        self.error: Exception | None = None
        self.started: list[FakeContainer] = []
        self.disposed: list[FakeContainer] = []
        self.pool = SandboxPool(self._start, self.disposed.append, PoolBounds(recent_kinds=recent_kinds))  # type: ignore[arg-type]

    async def _start(self, spec: SandboxSpec) -> FakeContainer:
        container = FakeContainer(str(next(self.numbers)), spec)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.started.append(container)
        return container


@pytest.fixture
async def world() -> World:
    return World()


async def test_what_is_expected_waits_when_it_is_claimed(world: World) -> None:
    world.pool.expect("run", [A, A])
    await world.pool.settled()
    assert world.pool.waiting[A] == 2
    container = await world.pool.take(A)
    assert container in world.started[:2]
    await world.pool.close()


async def test_with_nothing_waiting_one_is_started(world: World) -> None:
    container = await world.pool.take(A)
    assert container.spec == A
    await world.pool.close()


async def test_a_claim_joins_a_start_that_is_under_way(world: World) -> None:
    world.gate.clear()
    world.pool.expect("run", [A])
    claim = asyncio.create_task(world.pool.take(A))
    await asyncio.sleep(0)
    world.gate.set()
    assert (await claim).id == "1"
    await world.pool.close()


async def test_two_claims_never_get_one_container(world: World) -> None:
    world.pool.expect("run", [A])
    claims = await asyncio.gather(*(world.pool.take(A) for _ in range(5)))
    assert len({claim.id for claim in claims}) == 5
    await world.pool.close()


async def test_a_claim_that_is_given_up_leaves_its_container_waiting(world: World) -> None:
    world.gate.clear()
    claim = asyncio.create_task(world.pool.take(A))
    await asyncio.sleep(0)
    claim.cancel()
    await asyncio.gather(claim, return_exceptions=True)
    world.gate.set()
    await world.pool.settled()
    assert world.pool.waiting[A] >= 1
    await world.pool.close()


async def test_what_nobody_expects_is_not_started(world: World) -> None:
    await world.pool.take(A)
    await world.pool.settled()
    assert not world.pool.waiting
    await world.pool.close()


async def test_kinds_claimed_lately_are_kept_ready_where_asked() -> None:
    world = World(recent_kinds=1)
    await world.pool.take(B)
    await world.pool.take(A)
    await world.pool.settled()
    assert world.pool.waiting[A] == 1
    world.pool.rebalance()
    assert [container.spec for container in world.started][2:].count(B) <= 1
    await world.pool.close()


async def test_a_kind_that_is_no_longer_expected_is_not_started(world: World) -> None:
    world.gate.clear()
    world.pool.expect("run", [A, B])
    world.pool.expect("run", [])
    world.gate.set()
    await world.pool.settled()
    assert len(world.started) <= 2
    await world.pool.close()


async def test_a_waiting_container_that_dies_is_replaced_and_disposed_of(world: World) -> None:
    world.pool.expect("run", [A])
    await world.pool.settled()
    first = world.started[0]
    first.init.die()
    await world.pool.settled()
    assert world.disposed == [first]
    assert await world.pool.take(A) is world.started[1]
    await world.pool.close()


async def test_a_failed_start_is_raised_to_its_claimant(world: World) -> None:
    world.error = ImageRefusedError("x", "no shell")
    with pytest.raises(ImageRefusedError):
        await world.pool.take(A)
    await world.pool.close()


async def test_a_kind_that_fails_is_left_alone_for_a_while_but_a_claim_tries_again(world: World) -> None:
    world.error = ImageRefusedError("x", "no shell")
    world.pool.expect("run", [A, A, A])
    await world.pool.settled()
    world.error = None
    world.pool.rebalance()
    await world.pool.settled()
    assert world.started == []
    assert (await world.pool.take(A)).spec == A
    await world.pool.settled()
    assert world.pool.waiting[A] == 3
    await world.pool.close()


async def test_a_container_given_back_is_handed_out_again(world: World) -> None:
    container = await world.pool.take(A)
    world.pool.give_back(container)
    assert await world.pool.take(A) is container
    await world.pool.close()


async def test_a_dead_container_given_back_is_disposed_of(world: World) -> None:
    container = await world.pool.take(A)
    container.init.dead.set()
    world.pool.give_back(container)
    assert container in world.disposed
    await world.pool.close()


async def test_closing_disposes_of_what_waits_and_ends_what_starts(world: World) -> None:
    world.pool.expect("run", [A])
    await world.pool.settled()
    world.gate.clear()
    claim = asyncio.create_task(world.pool.take(B))
    await asyncio.sleep(0)
    await world.pool.close()
    await world.pool.close()
    with pytest.raises(SandboxUnavailableError):
        await claim
    assert [container.spec for container in world.disposed] == [A]
    with pytest.raises(SandboxUnavailableError):
        await world.pool.take(A)
    world.pool.expect("run", [A])
    assert not world.pool.waiting
