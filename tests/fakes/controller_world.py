"""A whole controller on a real socket, over the engine of `engine_world`: real gRPC, real journal, no containers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from engine._gen.sandstone.v1 import (
    checkpoint_service_pb2_grpc,
    execution_service_pb2_grpc,
    inspection_service_pb2_grpc,
)
from engine.checkpoints.results import Results
from engine.clock import Clock
from engine.rpc.address import UnixAddress
from engine.rpc.backend import Backend, Identity, ServerOptions
from engine.rpc.client import ExecutionClient, connect
from engine.rpc.server import serving
from sandbox.memory.provider import Script
from tests.fakes.engine_world import World, world


@dataclass
class ControllerWorld:
    """here: the engine behind. executions, checkpoints, inspection: bare stubs on one channel."""

    here: World
    address: UnixAddress
    client: ExecutionClient
    channel: grpc.aio.Channel
    executions: Any
    checkpoints: Any
    inspection: Any


def backend_of(here: World) -> Backend:
    assert here.writer is not None
    assert here.plain_store is not None
    blocking = here.writer.blocking
    journal = here.writer.journal
    results = Results(here.home, journal, here.plain_store, here.locks, here.logs, here.writer, blocking)
    identity = Identity("0.1.0", "instance", "store", 1, datetime(2026, 1, 1, tzinfo=UTC), ("syntax", "lint", "type"))
    return Backend(here.engine, results, journal, here.writer, blocking, here.clock, identity)


@asynccontextmanager
async def controller(
    directory: Path,
    *,
    script: Script | None = None,
    clock: Clock | None = None,
    options: ServerOptions | None = None,
    max_running: int = 8,
    max_queued: int = 1000,
) -> AsyncIterator[ControllerWorld]:
    """The controller for the block, with a client that is connected."""
    with tempfile.TemporaryDirectory(prefix="rpc-") as place:
        address = UnixAddress(Path(place) / "s" / "controller.sock")
        async with world(directory, script, clock, max_running=max_running, max_queued=max_queued) as here:
            backend = await asyncio.to_thread(backend_of, here)

            async def settle() -> None:
                await here.engine.close()

            async with (
                serving(backend, [address], settle=settle, options=options),
                connect(address) as client,
                grpc.aio.insecure_channel(f"unix:{address.path}") as channel,
            ):
                executions: Any = execution_service_pb2_grpc.ExecutionServiceStub
                checkpoints: Any = checkpoint_service_pb2_grpc.CheckpointServiceStub
                inspection: Any = inspection_service_pb2_grpc.InspectionServiceStub
                yield ControllerWorld(
                    here, address, client, channel, executions(channel), checkpoints(channel), inspection(channel)
                )
