"""Forks over real overlays: their mounts lie on volumes of other executions, and nothing is copied for them."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.checkpoints.results import Results
from engine.events.types import Event, EventKind
from engine.execution.garbage import GarbageCollector
from engine.journal.states import ExecutionState
from sandbox.workspace import kernel
from sandbox.workspace.mounts import KernelMounter
from tests.fakes.engine_world import Scripted, World, plan_of, world

pytestmark = pytest.mark.root

_IN_OPEN = 0x20
DISK = {"disk": "16MiB"}
ONE = {"id": "one", "type": "file_create", "path": "one.txt", "content": "1\n"}
ROOMY = {"id": "roomy", "type": "command", "run": "roomy", "sandbox": {"disk": "24MiB"}}
LAST = {"id": "last", "type": "file_create", "path": "last.txt", "content": "last\n"}


@pytest.fixture
async def here(disk_tmp: Path) -> AsyncIterator[World]:
    async with world(disk_tmp, mounter=KernelMounter()) as made:
        made.commands["roomy"] = Scripted(effect=lambda tree: (tree / "roomy.txt").write_text("r\n"))
        yield made
    assert kernel.mounts_below(os.fspath(disk_tmp)) == []


def own(path: str, **header: Any) -> Any:
    """A plan of one step that runs in a sandbox and writes what it finds into a file."""
    return plan_of([{"id": "own", "type": "command", "run": path}], sandbox=DISK, **header)


def listing(here: World, path: str) -> None:
    """Script the command `path` to write the names that it sees into the file `path`."""

    def effect(tree: Path) -> None:
        names = sorted(found.name for found in tree.iterdir())
        (tree / path).write_text(" ".join(names))

    here.commands[path] = Scripted(effect=effect)


async def forked(here: World, execution_id: str, checkpoint: str, **more: Any) -> str:
    fork = await here.engine.fork(execution_id, checkpoint, **more)
    record = await here.engine.wait(fork)
    assert (record.state, record.reason) == (ExecutionState.COMPLETED, "")
    return fork


async def changed(here: World, *ends: Any) -> list[str]:
    engine: Any = here.engine
    parts = (engine._journal, here.store._target, here.locks, here.logs, engine._writer)
    results = await asyncio.to_thread(Results, here.home, *parts, asyncio.to_thread)
    return [change.path.decode() for change in await results.changes(*ends)]


async def collect(here: World) -> None:
    collector = GarbageCollector(here.journal, here.store, here.locks, here.logs)
    now = here.clock.now() + timedelta(seconds=1)
    await asyncio.to_thread(lambda: collector.collect(now, older_than=None, keep=None, dry_run=False))


async def test_steps_of_forks_see_all_volumes_below_also_when_the_origins_are_gone(here: World) -> None:
    origin = await here.engine.execute_plan(plan_of([ONE, ROOMY, LAST], sandbox=DISK), here.project)
    listing(here, "a")
    listing(here, "b")
    child = await forked(here, origin.id, "c2", plan=own("a"), keep=True)
    assert here.content(child, "a") == b"gcd.py old.txt one.txt roomy.txt"
    grandchild = await forked(here, child, "c1", plan=own("b"), keep=True)
    assert here.content(grandchild, "b") == b"a gcd.py old.txt one.txt roomy.txt"
    await collect(here)
    assert {record.id for record in here.journal.executions()} == {child, grandchild}
    assert set(here.store.volumes()) == {origin.id, f"{origin.id}-1", child, grandchild}
    assert await changed(here, grandchild) == ["a", "b", "one.txt", "roomy.txt"]
    assert await changed(here, grandchild, "c0") == ["b"]
    await here.engine.rollback(grandchild)
    await here.engine.resume(grandchild)
    assert (await here.engine.wait(grandchild)).state is ExecutionState.COMPLETED
    assert here.content(grandchild, "b") == b"a gcd.py old.txt one.txt roomy.txt"
    engine: Any = here.engine
    for execution_id, left in ((child, {origin.id, f"{origin.id}-1", child, grandchild}), (grandchild, set())):
        await engine._writer.write(lambda tx, one=execution_id: tx.set_execution(one, kept=0))
        await collect(here)
        assert set(here.store.volumes()) == left
    assert await asyncio.to_thread(lambda: list((here.home / "volumes").iterdir())) == []


async def test_another_process_forks_while_the_origin_runs_and_ends(here: World, disk_tmp: Path) -> None:
    here.commands["hang"] = Scripted(hangs=True)
    steps = [ONE, {"id": "hang", "type": "command", "run": "hang"}]
    running = await here.engine.start(plan_of(steps, sandbox=DISK), here.project)
    async for item in here.engine.bus.subscribe(running):
        if isinstance(item, Event) and (item.kind, item.step_id) == (EventKind.STEP_STARTED, "hang"):
            break
    async with world(disk_tmp, mounter=KernelMounter(), process="other") as other:
        listing(other, "a")
        fork = await forked(other, running, "c1", plan=own("a"))
        assert here.journal.execution(running).state is ExecutionState.RUNNING
        await here.engine.cancel(running)
        assert other.content(fork, "a") == b"gcd.py old.txt one.txt"
        assert await changed(other, fork) == ["a", "one.txt"]
        await collect(here)
        assert other.store.volumes() == []


class CountingMounter(KernelMounter):
    """Counts what is asked of the kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.overlays: list[int] = []
        """The number of lower directories of each overlay."""
        self.images = 0

    def attach_image(self, image: Path, target: Path) -> None:
        self.images += 1
        super().attach_image(image, target)

    def mount_overlay(
        self,
        lowers: Sequence[Path],
        upper: Path | None,
        work: Path | None,
        target: Path,
        swap_uid: tuple[int, int, int] | None,
    ) -> None:
        self.overlays.append(len(lowers))
        super().mount_overlay(lowers, upper, work, target, swap_uid)


class Watch:
    """Whether anybody opens a directory or a file in it; the kernel tells."""

    def __init__(self, directory: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if libc.inotify_add_watch(self._fd, os.fsencode(directory), _IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), f"cannot watch {directory}")

    def opened(self) -> bool:
        """Since the last time that this was asked."""
        try:
            return bool(os.read(self._fd, 1 << 20))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._fd)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_hundred_forks_of_one_checkpoint_cost_a_row_and_an_empty_volume_each(disk_tmp: Path) -> None:
    mounter = CountingMounter()
    async with world(disk_tmp, mounter=mounter) as here:
        wide = disk_tmp / "project/wide"
        await asyncio.to_thread(wide.mkdir)
        for number in range(500):
            await asyncio.to_thread((wide / str(number)).write_text, "x" * 1000)
        here.commands["fill"] = Scripted(
            effect=lambda tree: [(tree / f"f{n}").write_text("y" * 1000) for n in range(200)]
        )
        fill = {"id": "fill", "type": "command", "run": "fill"}
        origin = await here.engine.execute_plan(plan_of([fill], sandbox=DISK), here.project)
        before = len(list(here.store.walk()))
        mounter.images, mounter.overlays = 0, []
        watch = Watch(wide)
        await asyncio.to_thread((wide / "0").read_text)
        assert watch.opened()
        store = here.store._target
        forks = []
        with store.using(origin.id):
            opened = mounter.images
            for number in range(100):
                step = {"id": "own", "type": "file_create", "path": f"own-{number}", "content": "own\n"}
                forks.append(await forked(here, origin.id, "c1", plan=plan_of([step], sandbox=DISK)))
        assert not watch.opened()
        watch.close()
        assert mounter.images - opened == 100
        assert mounter.overlays == []
        layers = list(here.store.walk())
        # Of each fork: what it starts from, which is empty, and its own step's.
        assert len(layers) - before == 200
        assert sum(layer.empty for layer in layers) == 100
        assert {layer.usage.inodes for layer in layers if layer.volume in forks} <= {0, 1, 2}
        assert [await changed(here, fork, "c0") for fork in forks[::33]] == [[f"own-{n}"] for n in range(0, 100, 33)]
        listing(here, "seen")
        last = await forked(here, forks[-1], "c1", plan=own("seen"))
        assert b"own-99" in (here.content(last, "seen") or b"")
        # The view of a fork of a fork: base, what the origin did, what the fork did.
        assert mounter.overlays == [3]
    assert kernel.mounts_below(os.fspath(disk_tmp)) == []
