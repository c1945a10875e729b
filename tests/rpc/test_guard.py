"""Who may call, how much, and how often: tokens and TLS on ports, sizes, rates and streams."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from engine._gen.sandstone.v1 import execution_service_pb2 as service_pb
from engine._gen.sandstone.v1 import inspection_service_pb2 as inspection_pb
from engine._gen.sandstone.v1 import inspection_service_pb2_grpc
from engine.clock import ManualClock
from engine.errors import EnvironmentUnfitError
from engine.rpc.address import TcpAddress
from engine.rpc.backend import ServerOptions
from engine.rpc.client import connect
from engine.rpc.server import Security, read_security, serving
from engine.rpc.status import CallFailedError, OverloadedError
from tests.fakes.controller_world import backend_of, controller
from tests.fakes.engine_world import Scripted, plan_of, world

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOKEN = "a-token-of-more-than-sixteen-bytes"
RUN = {"id": "run", "type": "command", "run": "ok"}
HANG = {"id": "hang", "type": "command", "run": "hang"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a key, its certificate for localhost, and a token."""
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", directory / "key.pem", "-out", directory / "cert.pem", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    (directory / "token").write_text(TOKEN + "\n")
    for name in ("key.pem", "token"):
        (directory / name).chmod(0o600)
    return directory


@asynccontextmanager
async def on_a_port(directory: Path, files: Path) -> AsyncIterator[TcpAddress]:
    security = await asyncio.to_thread(read_security, files / "cert.pem", files / "key.pem", files / "token", None)
    async with world(directory) as here:
        backend = await asyncio.to_thread(backend_of, here)

        async def settle() -> None:
            await here.engine.close()

        async with serving(backend, [TcpAddress("127.0.0.1", 0)], settle=settle, security=security) as taken:
            address = taken[0]
            assert isinstance(address, TcpAddress)
            assert address.port
            yield TcpAddress("localhost", address.port)


async def test_a_port_takes_who_has_the_token_over_tls(tmp_path: Path, files: Path) -> None:
    authority = await asyncio.to_thread((files / "cert.pem").read_bytes)
    async with on_a_port(tmp_path, files) as address:
        async with connect(address, token=TOKEN, authority=authority) as client:
            with pytest.raises(Exception, match="no execution is called"):
                await client.get_status("x")
        for wrong in (None, "wrong-token-of-more-than-16-bytes", TOKEN + "x", TOKEN[:-1]):
            async with connect(address, token=wrong, authority=authority) as client:
                with pytest.raises(CallFailedError) as caught:
                    await client.get_status("x")
                assert caught.value.code == "UNAUTHENTICATED"


async def test_a_port_does_not_speak_without_tls(tmp_path: Path, files: Path) -> None:
    async with on_a_port(tmp_path, files) as address, grpc.aio.insecure_channel(str(address)) as channel:
        stub: Any = inspection_service_pb2_grpc.InspectionServiceStub
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(channel).GetServerInfo(inspection_pb.GetServerInfoRequest(), timeout=10)
        assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_health_needs_no_token(tmp_path: Path, files: Path) -> None:
    authority = await asyncio.to_thread((files / "cert.pem").read_bytes)
    credentials = grpc.ssl_channel_credentials(authority)
    async with on_a_port(tmp_path, files) as address, grpc.aio.secure_channel(str(address), credentials) as channel:
        stub: Any = health_pb2_grpc.HealthStub
        answer = await stub(channel).Check(health_pb2.HealthCheckRequest(service="sandstone.v1.ExecutionService"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_port_without_security_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        backend = await asyncio.to_thread(backend_of, here)
        with pytest.raises(EnvironmentUnfitError, match="TLS and a token"):
            async with serving(backend, [TcpAddress("127.0.0.1", 0)], settle=here.engine.close):
                pass


async def test_a_short_token_is_refused(tmp_path: Path, files: Path) -> None:
    key, certificate = await asyncio.to_thread(lambda: [(files / n).read_bytes() for n in ("key.pem", "cert.pem")])
    async with world(tmp_path) as here:
        backend = await asyncio.to_thread(backend_of, here)
        with pytest.raises(EnvironmentUnfitError, match="fewer than 16 bytes"):
            async with serving(
                backend,
                [TcpAddress("127.0.0.1", 0)],
                settle=here.engine.close,
                security=Security(key, certificate, b"short"),
            ):
                pass


async def test_a_token_that_others_can_read_is_refused(files: Path, tmp_path: Path) -> None:
    def make() -> Path:
        token = tmp_path / "token"
        token.write_text(TOKEN)
        token.chmod(0o644)
        return token

    token = await asyncio.to_thread(make)
    with pytest.raises(EnvironmentUnfitError, match="others can read"):
        await asyncio.to_thread(read_security, files / "cert.pem", files / "key.pem", token, None)


async def test_a_port_that_is_taken_is_told(tmp_path: Path, files: Path) -> None:
    security = await asyncio.to_thread(read_security, files / "cert.pem", files / "key.pem", files / "token", None)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        async with world(tmp_path) as here:
            backend = await asyncio.to_thread(backend_of, here)
            with pytest.raises(EnvironmentUnfitError, match="cannot listen"):
                async with serving(
                    backend,
                    [TcpAddress("127.0.0.1", other.getsockname()[1])],
                    settle=here.engine.close,
                    security=security,
                ):
                    pass


async def test_the_socket_is_for_its_owner_only(tmp_path: Path) -> None:
    async with controller(tmp_path) as there:
        mode = (await asyncio.to_thread(os.lstat, there.address.path)).st_mode
        assert mode & 0o777 == 0o600


async def test_a_request_that_is_too_large_is_refused_and_the_next_is_served(tmp_path: Path) -> None:
    async with controller(tmp_path, options=ServerOptions(request_bytes=64 << 10)) as there:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await there.executions.ExecutePlan(
                service_pb.ExecutePlanRequest(plan_text="x" * (65 << 10), workspace=str(there.here.project))
            )
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await there.inspection.GetServerInfo(inspection_pb.GetServerInfoRequest())


async def test_too_many_calls_are_told_when_to_come_again(tmp_path: Path) -> None:
    options = ServerOptions(calls_per_second=1, burst=3)
    async with controller(tmp_path, clock=ManualClock(), options=options) as there:
        for _ in range(3):
            await there.inspection.GetServerInfo(inspection_pb.GetServerInfoRequest())
        with pytest.raises(OverloadedError) as caught:
            await there.client.get_status("x")
        assert caught.value.retry_after == timedelta(seconds=1)
        assert isinstance(there.here.clock, ManualClock)
        there.here.clock.advance(timedelta(seconds=1))
        await there.inspection.GetServerInfo(inspection_pb.GetServerInfoRequest())


async def test_too_many_event_streams_are_refused_and_one_that_ends_makes_room(tmp_path: Path) -> None:
    async with controller(tmp_path, options=ServerOptions(watchers=2)) as there:
        there.here.commands["hang"] = Scripted(hangs=True)
        execution_id = await there.client.start(plan_of([HANG]), there.here.project)
        request = service_pb.WatchEventsRequest(execution_id=execution_id)
        calls = [there.executions.WatchEvents(request) for _ in range(2)]
        for call in calls:
            await call.read()
        with pytest.raises(OverloadedError):
            async for _ in there.client.watch(execution_id):
                pass
        calls[0].cancel()
        await there.client.cancel(execution_id)
        heard = [heard async for heard in there.client.watch(execution_id)]
        assert heard[-1].events[-1].kind.value == "execution-cancelled"


async def test_reflection_tells_the_services(tmp_path: Path) -> None:
    async with controller(tmp_path) as there:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub
        call = stub(there.channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        answer = await call.read()
        names = {service.name for service in answer.list_services_response.service}
        assert {"sandstone.v1.ExecutionService", "sandstone.v1.CheckpointService"} <= names


async def test_bytes_that_are_no_protocol_do_no_harm(tmp_path: Path) -> None:
    async with controller(tmp_path) as there:
        for junk in (
            b"",
            b"GET / HTTP/1.1\r\n\r\n",
            os.urandom(4096),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + os.urandom(999),
        ):
            reader, writer = await asyncio.open_unix_connection(there.address.path)
            writer.write(junk)
            writer.close()
            del reader
        await there.inspection.GetServerInfo(inspection_pb.GetServerInfoRequest())
