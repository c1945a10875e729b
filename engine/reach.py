"""How a command reaches an execution that another `sandstone run` drives without a controller.

Every process that drives executions keeps a doorbell: a unix socket in the state directory, named after its lease. Who
rings gets the address of a server that the process starts then, and only then, since gRPC takes long to load: from
there on it is a controller for whoever rang, for as long as it runs. Nobody else can ring: the state directory is
its owner's alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.errors import EnvironmentUnfitError, ExecutionLockedError
from engine.events.bus import EventBus
from engine.execution.control import PauseMode
from engine.execution.decide import Progress
from engine.execution.engine import ExecutionEngine
from engine.journal.records import CheckpointRecord, ExecutionRecord
from engine.plan.model import Plan

if TYPE_CHECKING:
    from engine.app import Application
    from engine.rpc.address import UnixAddress
    from engine.rpc.remote import RemoteEngine

ANSWER_LIMIT: Final = timedelta(seconds=10)
"""How long whoever is rung at may take to start its server."""


# -- who is reached --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def reachable(application: Application) -> AsyncIterator[None]:
    """For the block, whoever rings at this process's lease can use its engine. Does nothing beside a controller."""
    engine = application.engine
    own = engine.own if isinstance(engine, ReachingEngine) else engine
    if not isinstance(own, ExecutionEngine):
        yield
        return
    async with AsyncExitStack() as stack:
        door = _Door(application, own, stack)
        directory = await application.blocking(_open_directory, application.home)
        stack.push_async_callback(application.blocking, os.close, directory)
        bell = await asyncio.start_unix_server(door.answer, f"/proc/self/fd/{directory}/{application.lease}")
        stack.push_async_callback(application.blocking, _forget, directory, application.lease)
        async with bell:
            yield


class _Door:
    """Starts the server when the bell rings for the first time."""

    def __init__(self, application: Application, engine: ExecutionEngine, stack: AsyncExitStack) -> None:
        self._application = application
        self._engine = engine
        self._stack = stack
        self._opening = asyncio.Lock()
        self._address = ""

    async def answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Tell where the server listens."""
        try:
            async with self._opening:
                if not self._address:
                    self._address = await self._open()
            writer.write(f"{self._address}\n".encode())
            await writer.drain()
        except (EnvironmentUnfitError, ConnectionError):
            # Whoever rang sees the connection end without an answer, and says that it cannot be reached.
            self._address = ""
        finally:
            writer.close()

    async def _open(self) -> str:
        from engine.controller import backend_of  # only who is rung at loads gRPC
        from engine.rpc.server import serving

        backend = backend_of(self._application, self._engine)
        refused: EnvironmentUnfitError | None = None
        for address in _places(self._application.home, self._application.lease):
            try:
                await self._stack.enter_async_context(serving(backend, [address], settle=_nothing))
            except EnvironmentUnfitError as error:
                refused = error
            else:
                return str(address)
        assert refused is not None
        raise refused


async def _nothing() -> None:
    """Whoever drives the executions brings them to rest, not the server beside it."""


def _places(home: Path, lease: str) -> Sequence[UnixAddress]:
    """Where the server may listen: in the state directory, or in the runtime directory when that is too long a path."""
    from engine.app import BELLS
    from engine.rpc.address import UnixAddress, default_socket

    runtime = default_socket(os.environ, os.geteuid()).parent
    return [UnixAddress(home / BELLS / f"{lease}.sock"), UnixAddress(runtime / f"{lease}.sock")]


def _open_directory(home: Path) -> int:
    """Blocking. Opened, so that a long path of the state directory makes no socket's path too long."""
    from engine.app import BELLS

    directory = home / BELLS
    directory.mkdir(mode=0o700, exist_ok=True)
    return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _forget(directory: int, lease: str) -> None:
    """Blocking. The bell is gone."""
    try:
        os.unlink(lease, dir_fd=directory)
    except FileNotFoundError:
        return


# -- who reaches -----------------------------------------------------------------------------------------------------


class ReachingEngine:
    """`Verbs` of this process's engine; on executions that another process drives, of that one's."""

    def __init__(self, application: Application, own: ExecutionEngine, stack: AsyncExitStack) -> None:
        self.own = own
        self._application = application
        self._stack = stack
        self._remotes: dict[str, RemoteEngine] = {}
        self._followed: RemoteEngine | None = None

    @property
    def bus(self) -> EventBus:
        return self.own.bus if self._followed is None else self._followed.bus

    async def start(
        self,
        plan: Plan,
        workspace: Path,
        *,
        name: str | None = None,
        secrets: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> str:
        return await self.own.start(plan, workspace, name=name, secrets=secrets, keep=keep)

    async def fork(
        self,
        execution_id: str,
        checkpoint: str,
        *,
        plan: Plan | None = None,
        name: str | None = None,
        secrets: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> str:
        return await self.own.fork(execution_id, checkpoint, plan=plan, name=name, secrets=secrets, keep=keep)

    async def wait(self, execution_id: str) -> ExecutionRecord:
        return await (self.own if self._followed is None else self._followed).wait(execution_id)

    async def resume(self, execution_id: str, secrets: Mapping[str, str] | None = None) -> ExecutionRecord:
        try:
            return await self.own.resume(execution_id, secrets)
        except ExecutionLockedError as error:
            self._followed = await self._reach(execution_id, error)
            return await self._followed.resume(execution_id, secrets)

    async def pause(
        self, execution_id: str, mode: PauseMode = PauseMode.AFTER_STEP, reason: str = "asked for"
    ) -> ExecutionRecord:
        try:
            return await self.own.pause(execution_id, mode, reason)
        except ExecutionLockedError as error:
            return await (await self._reach(execution_id, error)).pause(execution_id, mode, reason)

    async def cancel(self, execution_id: str, reason: str = "asked for") -> ExecutionRecord:
        try:
            return await self.own.cancel(execution_id, reason)
        except ExecutionLockedError as error:
            return await (await self._reach(execution_id, error)).cancel(execution_id, reason)

    async def get_progress(self, execution_id: str) -> Progress:
        return await self.own.get_progress(execution_id)

    async def rollback(self, execution_id: str, to: str | None = None) -> CheckpointRecord:
        try:
            return await self.own.rollback(execution_id, to)
        except ExecutionLockedError as error:
            return await (await self._reach(execution_id, error)).rollback(execution_id, to)

    async def checkpoint(self, execution_id: str, name: str) -> CheckpointRecord:
        return await self.own.checkpoint(execution_id, name)

    async def _reach(self, execution_id: str, locked: ExecutionLockedError) -> RemoteEngine:
        """The engine that drives the execution. Raises `locked`: nobody answers at its door."""
        application = self._application
        record = await application.blocking(application.journal.execution, execution_id)
        if record.lease not in self._remotes:
            address = await _ring(application, record.lease)
            if address is None:
                raise locked
            from engine.rpc.address import parse_address
            from engine.rpc.client import connect
            from engine.rpc.remote import RemoteEngine

            client = await self._stack.enter_async_context(connect(parse_address(address)))
            remote = RemoteEngine(client, application.journal, application.blocking)
            self._stack.push_async_callback(remote.close)
            self._remotes[record.lease] = remote
        return self._remotes[record.lease]


async def _ring(application: Application, lease: str) -> str | None:
    """The address of the server of the process that holds the lease; None when it does not answer."""
    directory = await application.blocking(_open_directory, application.home)
    try:
        async with asyncio.timeout(ANSWER_LIMIT.total_seconds()):
            reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/{lease}")
            try:
                return (await reader.readline()).decode().strip() or None
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    finally:
        await application.blocking(os.close, directory)


@asynccontextmanager
async def reaching(application: Application) -> AsyncIterator[Application]:
    """The application, for the block, with verbs that reach executions of other processes as well."""
    engine = application.engine
    if not isinstance(engine, ExecutionEngine):
        yield application
        return
    async with AsyncExitStack() as stack:
        yield replace(application, engine=ReachingEngine(application, engine, stack))
