"""Getting rid of containers in the background."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sandbox.docker.removal import Removals, remove_slot
from sandbox.errors import SandboxUnavailableError


class FakeInit:
    def __init__(self) -> None:
        self.killed = False

    def kill(self) -> bool:
        self.killed = True
        return True


class FakeContainer:
    """Notes how many removals are under way at once."""

    under_way = 0
    most = 0

    def __init__(self, stubborn: bool = False) -> None:
        self.id = "c0ffee"
        self.init = FakeInit()
        self.stubborn = stubborn
        self.removed = False

    async def kill(self) -> None:
        if self.stubborn:
            raise SandboxUnavailableError("does not die")

    async def remove(self) -> None:
        FakeContainer.under_way += 1
        FakeContainer.most = max(FakeContainer.most, FakeContainer.under_way)
        await asyncio.sleep(0)
        FakeContainer.under_way -= 1
        self.removed = True


async def test_draining_waits_for_all_and_puts_nothing_off(tmp_path: Path) -> None:
    removals = Removals()
    containers = [FakeContainer() for _ in range(5)]
    slots = [tmp_path / str(number) for number in range(5)]
    for container, slot in zip(containers, slots, strict=True):
        slot.mkdir()
        removals.add(container, slot)  # type: ignore[arg-type]
    assert all(container.init.killed for container in containers), "nothing may run while it queues"
    assert not any(container.removed for container in containers)
    async with asyncio.timeout(0.15):
        await removals.drain()
    assert all(container.removed for container in containers)
    assert not any(slot.exists() for slot in slots)
    assert FakeContainer.most <= 2


async def test_one_that_does_not_die_is_removed_by_the_engine_all_the_same() -> None:
    removals = Removals()
    container = FakeContainer(stubborn=True)
    removals.add(container, None)  # type: ignore[arg-type]
    await removals.drain()
    assert container.removed


async def test_what_is_to_go_at_once_is_not_put_off() -> None:
    removals = Removals()
    container = FakeContainer()
    removals.add(container, None, at_once=True)  # type: ignore[arg-type]
    (task,) = removals._tasks
    async with asyncio.timeout(0.15):
        await task
    assert container.removed


async def test_without_hurry_it_happens_by_itself() -> None:
    removals = Removals()
    container = FakeContainer()
    removals.add(container, None)  # type: ignore[arg-type]
    (task,) = removals._tasks
    await task
    assert container.removed


def test_a_slot_that_is_not_empty_stays(tmp_path: Path) -> None:
    (tmp_path / "slot").mkdir()
    (tmp_path / "slot" / "file").write_text("x")
    remove_slot(tmp_path / "slot")
    assert (tmp_path / "slot" / "file").exists()
    remove_slot(tmp_path / "gone")
