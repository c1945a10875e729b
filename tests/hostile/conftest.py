"""Fixtures of the hostile steps: a world with a real engine, and `attack`, which runs one step in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from sandbox.spec import ContainerLimits, ExecRequest, ExecResult
from tests.fakes.docker_world import DockerWorld, docker_world
from tests.fakes.real_store import RealStore

Probe = Callable[[DockerWorld], Awaitable[None]]


class Attack(Protocol):
    """Run `command` in a sandbox of its own with these limits; the rest are fields of ExecRequest."""

    async def __call__(
        self, command: str | tuple[str, ...], limits: ContainerLimits | None = None, **fields: Any
    ) -> ExecResult: ...


@pytest.fixture
async def world(sandstone_home: Path) -> AsyncIterator[DockerWorld]:
    store = await asyncio.to_thread(RealStore, sandstone_home)
    async with docker_world(store) as world:
        yield world


@pytest.fixture
def attack(world: DockerWorld) -> Attack:
    async def run(command: str | tuple[str, ...], limits: ContainerLimits | None = None, **fields: Any) -> ExecResult:
        spec = replace(world.spec, limits=limits or ContainerLimits())
        sandbox = await world.provider.claim(spec, world.store.new_layer())
        try:
            return await sandbox.run(ExecRequest(command, **{"timeout": timedelta(seconds=30), **fields}))
        finally:
            await sandbox.close()

    return run
