"""Sandboxes on a host that tells or allows less, and claims that are given up: nothing is left, nothing is wrong."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from sandbox.docker import attempt, pidfd
from sandbox.docker.attempt import Attempt
from sandbox.errors import MountError, SpecRefusedError
from sandbox.spec import ContainerLimits, ExecRequest, Verdict
from sandbox.workspace.layer import LayerKey
from tests.fakes.bind_store import BindStore
from tests.fakes.docker_world import DockerWorld, docker_world
from tests.fakes.slow_engine import slow_engine

pytestmark = [pytest.mark.docker, pytest.mark.root]

HANG = "echo started; sleep 600"


@pytest.fixture
async def world(sandstone_home: Path) -> AsyncIterator[DockerWorld]:
    store = await asyncio.to_thread(BindStore, sandstone_home)
    async with docker_world(store) as world:
        yield world


@pytest.fixture
def no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user may not signal a container's processes."""

    def refuse(*_: object) -> NoReturn:
        raise PermissionError

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)


@pytest.mark.usefixtures("no_signals")
async def test_without_the_right_to_signal_the_engine_kills(world: DockerWorld) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    result = await sandbox.run(ExecRequest(HANG, timeout=timedelta(seconds=0.5)))
    assert (result.verdict, result.stdout.text()) == (Verdict.TIMEOUT, b"started\n")
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    result = await sandbox.run(ExecRequest("yes", output_limit_bytes=1000))
    assert result.verdict is Verdict.OUTPUT_LIMIT


@pytest.mark.usefixtures("no_signals")
async def test_without_the_right_to_signal_the_frozen_are_killed_too(world: DockerWorld) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    started = asyncio.Event()
    running = asyncio.create_task(sandbox.run(ExecRequest(HANG), lambda *_: started.set()))
    await started.wait()
    await sandbox.freeze()
    await sandbox.kill()
    assert (await running).verdict is Verdict.KILLED


@pytest.fixture
def old_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that keeps no exit status for pidfds."""
    monkeypatch.setattr(pidfd, "_kernel_version", lambda: (5, 10))


@pytest.mark.usefixtures("old_kernel")
async def test_on_an_old_kernel_the_trailer_is_believed(world: DockerWorld) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    result = await sandbox.run(ExecRequest("exit 3"))
    assert (result.exit_code, result.verdict) == (3, None)


@pytest.mark.usefixtures("old_kernel")
async def test_on_an_old_kernel_the_engine_tells_how_the_gate_ended(world: DockerWorld) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    started = asyncio.Event()
    running = asyncio.create_task(sandbox.run(ExecRequest(HANG), lambda *_: started.set()))
    await started.wait()
    await world.api.kill(sandbox.container_id)
    assert (await running).verdict is Verdict.SANDBOX_UNAVAILABLE


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
async def test_a_claim_given_up_at_any_moment_leaves_nothing(world: DockerWorld, turns: int) -> None:
    """`docker_world` looks for containers, mounts and slots when the provider is closed."""
    claim = asyncio.create_task(world.provider.claim(world.spec, world.store.new_layer()))
    for _ in range(turns):
        await asyncio.sleep(0.002)
    claim.cancel()
    await asyncio.gather(claim, return_exceptions=True)


async def test_a_provider_closed_while_claims_are_under_way_leaves_nothing(world: DockerWorld) -> None:
    claims = [asyncio.create_task(world.provider.claim(world.spec, world.store.new_layer())) for _ in range(4)]
    await asyncio.sleep(0.05)
    await world.provider.close()
    outcomes = await asyncio.gather(*claims, return_exceptions=True)
    assert all(isinstance(outcome, Exception) for outcome in outcomes)


async def test_a_run_given_up_kills_its_command(world: DockerWorld) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    started = asyncio.Event()
    running = asyncio.create_task(sandbox.run(ExecRequest(HANG), lambda *_: started.set()))
    await started.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await sandbox.container.init.wait_dead(timedelta(seconds=5))


async def test_an_error_in_the_output_sink_ends_the_run_and_is_raised(world: DockerWorld) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())

    def broken(*_: object) -> NoReturn:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await sandbox.run(ExecRequest(HANG), broken)
    assert sandbox.container.init.dead.is_set()


async def test_a_sandbox_frozen_on_its_last_step_ends_as_ever_when_thawed(
    world: DockerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    monkeypatch.setattr(attempt, "_RELEASE_LIMIT", timedelta(seconds=0.05))
    frozen = asyncio.Event()
    release = Attempt._release

    async def freeze_first(self: Attempt) -> None:
        await sandbox.freeze()
        frozen.set()
        await release(self)

    monkeypatch.setattr(Attempt, "_release", freeze_first)
    running = asyncio.create_task(sandbox.run(ExecRequest("exit 3")))
    await frozen.wait()
    done, _ = await asyncio.wait({running}, timeout=0.3)
    assert not done
    await sandbox.thaw()
    result = await running
    assert (result.exit_code, result.verdict) == (3, None)


async def test_a_busy_mount_is_tried_again_and_a_failed_close_can_be_repeated(
    world: DockerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    unmount = world.store.unmount
    refusals = iter(range(12))

    def busy(key: LayerKey) -> None:
        if next(refusals, None) is not None:
            raise MountError("slot", "busy")
        unmount(key)

    monkeypatch.setattr(world.store, "unmount", busy)
    with pytest.raises(MountError):
        await sandbox.close()
    await sandbox.close()


async def test_a_runtime_that_the_engine_has_not_is_refused(world: DockerWorld) -> None:
    with pytest.raises(SpecRefusedError, match="runtime"):
        await world.provider.claim(replace(world.spec, runtime="no-such"), world.store.new_layer())


async def test_more_cpus_than_there_are_is_no_error(world: DockerWorld) -> None:
    spec = replace(world.spec, limits=ContainerLimits(cpus=512))
    sandbox = await world.provider.claim(spec, world.store.new_layer())
    assert (await sandbox.run(ExecRequest("exit 0"))).ok


async def test_containers_of_another_live_process_are_left_alone(world: DockerWorld) -> None:
    lease = f"two{world.store_id[5:]}"
    world.live_leases.add(lease)
    other = world.another_provider(lease)
    theirs = await other.claim(world.spec, world.store.new_layer())
    assert await world.provider.start() == []
    assert (await theirs.run(ExecRequest("exit 0"))).ok
    await other.close()


@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("call", ["create", "[0-9a-f]{64}/start", "[0-9a-f]{64}/attach"])
async def test_a_claim_given_up_ends_though_the_engine_does_not_answer(
    sandstone_home: Path, monkeypatch: pytest.MonkeyPatch, call: str, late: bool
) -> None:
    """Its layer is free at once; what was asked for goes when the engine answers."""
    socket = sandstone_home / "engine.sock"
    store = await asyncio.to_thread(functools.partial(BindStore, sandstone_home, late=late))
    async with slow_engine(socket, rf"POST /v[0-9.]+/containers/{call}[? ]") as engine:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
        async with docker_world(store) as world:
            layer = world.store.new_layer()
            claim = asyncio.create_task(world.provider.claim(world.spec, layer))
            await asyncio.wait_for(engine.holding.wait(), 30)
            claim.cancel()
            done, _ = await asyncio.wait({claim}, timeout=5)
            assert done
            assert claim.cancelled()
            assert world.store.mounts() == []
            engine.release()
