"""`DockerSandboxProvider` keeps the rules of every provider, over late mounts and over early ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sandbox.docker.provider import DockerSandboxProvider
from sandbox.spec import SandboxSpec
from sandbox.workspace.layer import LayerKey, LayerKind
from tests.conformance.sandbox_suite import SandboxSuite
from tests.fakes.bind_store import BindStore
from tests.fakes.docker_world import DockerWorld, docker_world


class _OverDocker(SandboxSuite):
    late: bool

    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[DockerWorld]:
        async with docker_world(BindStore(tmp_path, late=self.late)) as world:
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
        def read(layer: LayerKey, path: str) -> bytes | None:
            file = world.store.directory(layer) / path
            return file.read_bytes() if file.exists() else None

        return read


@pytest.mark.docker
@pytest.mark.root
class TestOverLateMounts(_OverDocker):
    late = True


@pytest.mark.docker
@pytest.mark.root
class TestOverEarlyMounts(_OverDocker):
    late = False
