"""An engine that does not answer a call, or stops in the middle of its answer: the call ends in time, what it was
for is reported as unavailable, others go on meanwhile, and no container is left."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.docker import api as api_module
from sandbox.errors import SandboxUnavailableError
from sandbox.spec import ExecRequest
from tests.fakes.docker_world import DockerWorld, docker_world
from tests.fakes.real_store import RealStore
from tests.fakes.stalling_proxy import StallingProxy
from tests.leftovers import ENGINE_SOCKET

pytestmark = [pytest.mark.docker, pytest.mark.root]

LIMIT_S = 2.0


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[StallingProxy]:
    with tempfile.TemporaryDirectory() as directory:
        made = StallingProxy(Path(directory) / "engine.sock", ENGINE_SOCKET)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{made.path}")
        yield made
        made.close()


@pytest.fixture
async def world(
    proxy: StallingProxy, sandstone_home: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[DockerWorld]:
    async with docker_world(await asyncio.to_thread(RealStore, sandstone_home)) as made:
        sandbox = await made.provider.claim(made.spec, made.store.new_layer())
        await sandbox.close()
        for name in ("QUICK", "SLOW"):
            monkeypatch.setattr(api_module, name, timedelta(seconds=LIMIT_S))
        yield made
        proxy.release()
        monkeypatch.undo()


CALLS = [("POST", "/containers/create"), ("POST", "/attach"), ("POST", "/start"), ("GET", "/json")]


@pytest.mark.parametrize("after", [0, 40])
@pytest.mark.parametrize(("method", "call"), CALLS)
async def test_a_call_without_an_end_to_its_answer_costs_its_own_sandbox_and_nobody_elses(
    method: str, call: str, after: int, proxy: StallingProxy, world: DockerWorld
) -> None:
    proxy.stall(method, call, after)
    began = time.monotonic()
    stuck = asyncio.ensure_future(world.provider.claim(world.spec, world.store.new_layer()))
    assert await asyncio.to_thread(proxy.stalled.wait, 30)
    other = await world.provider.claim(world.spec, world.store.new_layer())
    result = await other.run(ExecRequest("echo goes on"))
    assert result.stdout.text() == b"goes on\n"
    await other.close()
    with pytest.raises(SandboxUnavailableError):
        await stuck
    assert time.monotonic() - began < 30


async def test_a_kill_that_is_not_answered_does_not_hold_up_the_end_of_a_sandbox(
    proxy: StallingProxy, world: DockerWorld
) -> None:
    sandbox = await world.provider.claim(world.spec, world.store.new_layer())
    proxy.stall("DELETE", "/containers", 0)
    result = await sandbox.run(ExecRequest("echo done"))
    assert result.ok
    async with asyncio.timeout(10):
        await sandbox.close()
        await world.provider.close()
    assert await asyncio.to_thread(proxy.stalled.wait, 10)
