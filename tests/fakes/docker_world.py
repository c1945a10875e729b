"""What tests with a real engine share: an engine connection, a store, a provider, and the promise to leave nothing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

from sandbox.docker.api import DockerApi
from sandbox.docker.pidfd import InitProcess
from sandbox.docker.policy import STORE_LABEL
from sandbox.docker.pool import PoolBounds
from sandbox.docker.provider import DockerSandboxProvider
from sandbox.spec import SandboxSpec
from tests.fakes.bind_store import BindStore
from tests.fakes.real_store import RealStore
from tests.images import plain_image

IMAGE = plain_image()


@dataclass(slots=True)
class DockerWorld:
    """One store with its provider. `store_id` is the label of everything that is made here."""

    api: DockerApi
    store: BindStore | RealStore
    provider: DockerSandboxProvider
    spec: SandboxSpec
    store_id: str
    live_leases: set[str] = field(default_factory=set)

    def another_provider(self, lease: str, bounds: PoolBounds | None = None) -> DockerSandboxProvider:
        """A provider of another process on the same store."""
        return DockerSandboxProvider(
            self.api,
            self.store,
            store_id=self.store_id,
            lease=lease,
            slots=self.store.slots,
            is_live=self.live_leases.__contains__,
            bounds=bounds,
        )


async def until_ended(world: DockerWorld, container: str) -> None:
    """Wait until no process of `container` lives."""
    facts = await world.api.inspect(container)
    assert facts is not None
    init = InitProcess.open(facts["State"]["Pid"], container) if facts["State"]["Pid"] else None
    if init is not None:
        assert await init.wait_dead(timedelta(seconds=30))
        init.close()


@contextlib.asynccontextmanager
async def docker_world(store: BindStore | RealStore) -> AsyncIterator[DockerWorld]:
    """Open a world over `store`; at its end nothing of it may be left."""
    api = DockerApi()
    unique = uuid4().hex[:12]
    # Containers are named after their lease: two suites may run against one engine.
    store_id, lease = f"test-{unique}", f"one{unique}"
    image = await api.image_inspect(IMAGE)
    world = DockerWorld(api, store, None, SandboxSpec(image["Id"]), store_id, {lease})  # type: ignore[arg-type]
    world.provider = world.another_provider(lease)
    try:
        yield world
        await world.provider.close()
        assert await api.list({STORE_LABEL: store_id}) == []
        assert store.mounts() == []
        assert list(store.slots.iterdir()) == []
    finally:
        await world.provider.close()
        for row in await api.list({STORE_LABEL: store_id}):
            await api.remove(row["Id"])
        store.close()
        api.close()
