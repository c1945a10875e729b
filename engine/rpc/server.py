"""The controller's server: listens, serves, and stops in an order that loses nothing.

Stopping: health says NOT_SERVING; nothing new is taken; executions are paused and what they did is kept; the event
streams end, telling their readers to ask again later; then calls have a moment to end.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from engine._gen.sandstone.v1 import (
    checkpoint_service_pb2,
    checkpoint_service_pb2_grpc,
    execution_service_pb2,
    execution_service_pb2_grpc,
    inspection_service_pb2,
    inspection_service_pb2_grpc,
)
from engine.errors import EnvironmentUnfitError
from engine.rpc.address import Address, TcpAddress, UnixAddress, socket_place
from engine.rpc.backend import Backend, ServerOptions
from engine.rpc.checkpoint_service import CheckpointService
from engine.rpc.execution_service import ExecutionService
from engine.rpc.guard import MIN_TOKEN_BYTES, Guard
from engine.rpc.inspection_service import InspectionService
from engine.rpc.requests import Requests
from engine.rpc.turnstile import TokenBucket, Turnstile
from engine.rpc.watch import Watch

SERVICES: Final = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (execution_service_pb2, "ExecutionService"),
        (checkpoint_service_pb2, "CheckpointService"),
        (inspection_service_pb2, "InspectionService"),
    )
)
RESPONSE_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Security:
    """What a port needs. key, certificate: PEM. client_authority: PEM; given, clients must show a certificate of it.
    token: what they must send."""

    key: bytes
    certificate: bytes
    token: bytes
    client_authority: bytes | None = None


class Controller:
    """One server over one backend. Made by `serving`."""

    def __init__(self, backend: Backend, options: ServerOptions, token: bytes | None) -> None:
        self._backend = backend
        self._options = options
        watch = Watch(
            backend.journal, backend.engine.bus, backend.blocking, backend.clock, drives=backend.engine.drives
        )
        self._requests = requests = Requests(backend.journal, backend.blocking)
        self._executions = ExecutionService(backend, requests, watch, Turnstile("open event streams", options.watchers))
        self._checkpoints = CheckpointService(backend, requests)
        self._health = health.aio.HealthServicer()
        bucket = TokenBucket(options.calls_per_second, options.burst, backend.clock)
        self._server = grpc.aio.server(
            interceptors=[Guard(bucket, token)],
            options=[
                ("grpc.max_receive_message_length", options.request_bytes),
                ("grpc.max_send_message_length", RESPONSE_BYTES),
                ("grpc.max_metadata_size", 16 << 10),
                ("grpc.max_concurrent_streams", options.watchers * 2),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ],
        )
        inspection = InspectionService(backend, watch, options)
        registrations: list[tuple[Any, Any]] = [
            (execution_service_pb2_grpc.add_ExecutionServiceServicer_to_server, self._executions),
            (checkpoint_service_pb2_grpc.add_CheckpointServiceServicer_to_server, self._checkpoints),
            (inspection_service_pb2_grpc.add_InspectionServiceServicer_to_server, inspection),
            (health_pb2_grpc.add_HealthServicer_to_server, self._health),
        ]
        for add, servicer in registrations:
            add(servicer, self._server)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    def listen(self, address: Address, security: Security | None) -> Address:
        """Bind; returns the address with the port that was taken. Raises EnvironmentUnfitError."""
        try:
            if isinstance(address, UnixAddress):
                with _private_files():
                    self._server.add_insecure_port(f"unix:{address.path}")
                os.chmod(address.path, 0o600)
                return address
            if security is None:
                raise EnvironmentUnfitError("a port needs TLS and a token", "give --tls-cert, --tls-key, --token-file")
            port = self._server.add_secure_port(str(address), _credentials(security))
            return TcpAddress(address.host, port)
        except (RuntimeError, OSError) as error:
            raise EnvironmentUnfitError(f"cannot listen at {address}: {error}", "choose another address") from error

    async def start(self) -> None:
        """Begin to answer."""
        await self._server.start()
        for service in ("", *SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, settle: Callable[[], Awaitable[None]]) -> None:
        """Stop in order; `settle` brings the executions to rest between."""
        await self._health.enter_graceful_shutdown()
        self._executions.accepting = self._checkpoints.accepting = False
        await settle()
        self._backend.engine.bus.close()
        await self._server.stop(self._options.stop_grace.total_seconds())
        await self._requests.drain()


@contextmanager
def _private_files() -> Iterator[None]:
    """Files that are made in the block are for this user only. The umask is the process's: keep the block short."""
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


def _credentials(security: Security) -> grpc.ServerCredentials:
    if len(security.token) < MIN_TOKEN_BYTES:
        raise EnvironmentUnfitError(
            f"the token has fewer than {MIN_TOKEN_BYTES} bytes", "make one: head -c 32 /dev/urandom | base64 > token"
        )
    return grpc.ssl_server_credentials(
        [(security.key, security.certificate)],
        root_certificates=security.client_authority,
        require_client_auth=security.client_authority is not None,
    )


@asynccontextmanager
async def serving(
    backend: Backend,
    addresses: list[Address],
    *,
    settle: Callable[[], Awaitable[None]],
    security: Security | None = None,
    options: ServerOptions | None = None,
) -> AsyncIterator[list[Address]]:
    """Serve at `addresses` for the block, which gets them with the ports that were taken; then stop in order.

    Raises EnvironmentUnfitError: cannot listen at one of them, and why.
    """
    controller = Controller(backend, options or ServerOptions(), None if security is None else security.token)
    places = ExitStack()
    try:
        for address in addresses:
            if isinstance(address, UnixAddress):
                await backend.blocking(places.enter_context, socket_place(address.path))
        taken = [controller.listen(address, security) for address in addresses]
        await controller.start()
        try:
            yield taken
        finally:
            await controller.stop(settle)
    finally:
        await backend.blocking(places.close)


def read_security(certificate: Path, key: Path, token: Path, client_authority: Path | None) -> Security:
    """Read the files of a port's security. Blocking.

    Raises OSError; EnvironmentUnfitError: others can read the key or the token.
    """
    for secret in (key, token):
        if secret.stat().st_mode & 0o077:
            raise EnvironmentUnfitError(f"others can read {secret}", f"chmod 600 {secret}")
    return Security(
        key=key.read_bytes(),
        certificate=certificate.read_bytes(),
        token=token.read_bytes().strip(),
        client_authority=None if client_authority is None else client_authority.read_bytes(),
    )
