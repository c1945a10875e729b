"""A container engine that does not answer some calls: a proxy before the real one, on a socket of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.leftovers import ENGINE_SOCKET


class SlowEngine:
    """Hands everything on, but holds requests whose first line matches `held` until `release`."""

    def __init__(self, held: str) -> None:
        self._held = re.compile(held.encode())
        self._released = asyncio.Event()
        self._links: set[asyncio.Task[Any]] = set()
        self.holding = asyncio.Event()
        """Set once a request is held."""

    def release(self) -> None:
        self._released.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        there_reader, there_writer = await asyncio.open_unix_connection(str(ENGINE_SOCKET))
        try:
            await asyncio.gather(self._hand_on(reader, there_writer, look=True), self._hand_on(there_reader, writer))
        except asyncio.CancelledError:
            return  # the proxy closes
        finally:
            for end in (writer, there_writer):
                end.close()
            for end in (writer, there_writer):
                with suppress(OSError):
                    await end.wait_closed()
            self._links.discard(task)

    async def close(self) -> None:
        """Let everything go and end every connection."""
        self.release()
        links = tuple(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _hand_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, look: bool = False) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                if look and self._held.match(data) and not self._released.is_set():
                    self.holding.set()
                    await self._released.wait()
                target.write(data)
                await target.drain()
            if target.can_write_eof():
                target.write_eof()


@asynccontextmanager
async def slow_engine(socket: Path, held: str) -> AsyncIterator[SlowEngine]:
    """The proxy on `socket`, for the block."""
    engine = SlowEngine(held)
    server = await asyncio.start_unix_server(engine.serve, str(socket))
    try:
        yield engine
    finally:
        server.close()
        await engine.close()
