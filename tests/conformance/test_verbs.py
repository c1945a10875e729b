"""The engine of this process, and a controller's over a real socket, under one suite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from engine.rpc.remote import RemoteEngine
from tests.conformance.verbs_suite import Place, VerbsSuite
from tests.fakes.controller_world import controller
from tests.fakes.engine_world import Scripted, World, world

pytestmark = pytest.mark.asyncio(loop_scope="session")


def scripted(here: World) -> World:
    here.commands["ok"] = Scripted(stdout=b"fine\n")
    here.commands["hang"] = Scripted(stdout=b"on\n", hangs=True)
    return here


class TestExecutionEngine(VerbsSuite):
    @pytest_asyncio.fixture(loop_scope="session")
    async def place(self, tmp_path: Path) -> AsyncIterator[Place]:
        async with world(tmp_path) as here:
            yield Place(here.engine, scripted(here))


class TestRemoteEngine(VerbsSuite):
    @pytest_asyncio.fixture(loop_scope="session")
    async def place(self, tmp_path: Path) -> AsyncIterator[Place]:
        async with controller(tmp_path) as there:
            assert there.here.writer is not None
            remote = RemoteEngine(there.client, there.here.writer.journal, there.here.writer.blocking)
            yield Place(remote, scripted(there.here))
            await remote.close()
