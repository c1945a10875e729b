"""`DockerSandboxProvider` keeps the rules of every provider, over late mounts and over early ones."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import ClassVar

import pytest

from sandbox.docker.provider import DockerSandboxProvider
from sandbox.spec import SandboxSpec
from sandbox.workspace.layer import LayerKey, LayerKind
from tests.conformance.sandbox_suite import SandboxSuite
from tests.fakes.bind_store import BindStore
from tests.fakes.docker_world import DockerWorld, docker_world
from tests.fakes.real_store import RealStore


class _OverDocker(SandboxSuite):
    make_store: ClassVar[Callable[[Path], BindStore | RealStore]]

    @pytest.fixture
    async def world(self, sandstone_home: Path) -> AsyncIterator[DockerWorld]:
        store = await asyncio.to_thread(type(self).make_store, sandstone_home)
        async with docker_world(store) as world:
            yield world

    @pytest.fixture
    def provider(self, world: DockerWorld) -> DockerSandboxProvider:
        return world.provider

    @pytest.fixture
    def spec(self, world: DockerWorld) -> SandboxSpec:
        return world.spec

    @pytest.fixture
    def new_layer(self, world: DockerWorld) -> Callable[[], LayerKey]:
        return world.store.new_layer

    @pytest.fixture
    def committed_layer(self, world: DockerWorld) -> LayerKey:
        return world.store.new_layer(LayerKind.COMMITTED)

    @pytest.fixture
    def read(self, world: DockerWorld) -> Callable[[LayerKey, str], bytes | None]:
        return world.store.content


@pytest.mark.docker
@pytest.mark.root
class TestOverOverlays(_OverDocker):
    """The real thing."""

    make_store = RealStore


@pytest.mark.docker
@pytest.mark.root
class TestOverLateMounts(_OverDocker):
    make_store = BindStore


@pytest.mark.docker
@pytest.mark.root
class TestOverEarlyMounts(_OverDocker):
    make_store = functools.partial(BindStore, late=False)
