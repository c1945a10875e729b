"""The controller: an application that serves until it is told to stop. One for each state directory.

Order at the start: the store's place is taken, so that a second controller is refused before it touches anything;
the application is opened, which puts in order what dead processes left; a copy of the journal is kept; then the
server listens, and only then the record says where.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.checkpoints.results import Results
from engine.config import state_directory
from engine.execution.engine import CloseMode, ExecutionEngine
from engine.journal.backups import DIRECTORY as COPIES
from engine.plan.rules import AVAILABLE_CHECKS
from engine.rpc.address import Address, ControllerPlace, ControllerRecord, UnixAddress
from engine.rpc.backend import Backend, Identity, ServerOptions
from engine.rpc.server import Security, serving

if TYPE_CHECKING:
    from engine.app import Application

_LOG: Final = logging.getLogger(__name__)
COPY_INTERVAL: Final = timedelta(hours=1)


@asynccontextmanager
async def place_taken(home: Path | None) -> AsyncIterator[ControllerPlace]:
    """The right to be the controller of the state directory, for the block.

    Raises EnvironmentUnfitError: it has one.
    """
    directory = home or state_directory(os.environ)
    stack = ExitStack()

    def take() -> ControllerPlace:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = ControllerPlace(directory)
        stack.enter_context(place.taken())
        return place

    try:
        yield await asyncio.to_thread(take)
    finally:
        await asyncio.to_thread(stack.close)


async def control(
    application: Application,
    place: ControllerPlace,
    addresses: Sequence[Address],
    *,
    stop: asyncio.Event,
    ready: Callable[[Sequence[Address]], None],
    security: Security | None = None,
    options: ServerOptions | None = None,
) -> None:
    """Serve until `stop` is set; then bring every execution to rest and end. `ready` is called when it listens.

    While it serves, a sandbox of the default kind waits, and a checked copy of the journal is kept every hour.

    Raises EnvironmentUnfitError: cannot listen. JournalCorruptError: the journal was damaged while it was served.
    """
    engine = application.engine
    # Only a command of a store with a live controller gets others, and this store's place is ours.
    assert isinstance(engine, ExecutionEngine)
    backend = backend_of(application, engine)

    async def settle() -> None:
        await engine.close("the controller was stopped", CloseMode.PAUSE)

    async with serving(backend, list(addresses), settle=settle, security=security, options=options) as taken:
        record = ControllerRecord(os.getpid(), _told(taken), backend.identity.instance_id, backend.identity.version)
        await application.blocking(place.write, record)
        ready(taken)
        await application.keep_ready()
        await _until(stop, _keep_copies(application))
    await application.blocking(application.journal.backup, application.home / COPIES)


def backend_of(application: Application, engine: ExecutionEngine) -> Backend:
    """What services of this process work with."""
    results = application.results
    assert isinstance(results, Results)
    identity = Identity(
        version=version("sandstone"),
        instance_id=uuid.uuid4().hex,
        store_id=application.store_id,
        process_id=os.getpid(),
        start_time=application.clock.now(),
        checks=AVAILABLE_CHECKS,
    )
    return Backend(
        engine=engine,
        results=results,
        journal=application.journal,
        writer=application.writer,
        blocking=application.blocking,
        clock=application.clock,
        identity=identity,
    )


async def _until(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Return when `stop` is set. Raises what `work`, which has no end of its own, raises before."""
    stopping, working = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(work)
    try:
        await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        stopping.cancel()
        working.cancel()
        await asyncio.gather(stopping, working, return_exceptions=True)


async def _keep_copies(application: Application) -> None:
    while True:
        try:
            await application.blocking(application.journal.backup, application.home / COPIES)
        except OSError as error:
            # No room, most likely: what is served does not depend on a copy. A damaged journal is another matter.
            _LOG.warning("no copy of the journal could be kept: %s", error)
        await application.clock.sleep(COPY_INTERVAL)


def _told(addresses: Sequence[Address]) -> str:
    """Where commands of this machine connect to: the socket, if there is one."""
    return str(next((each for each in addresses if isinstance(each, UnixAddress)), addresses[0]))
