"""What the services work with. Put together by the composition root, which is the only one to know implementations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from engine.checkpoints.results import Results
from engine.clock import Clock
from engine.errors import NotFoundError
from engine.execution.attempt import Blocking
from engine.execution.decide import Progress
from engine.execution.engine import ExecutionEngine
from engine.execution.writer import JournalWriter
from engine.journal.journal import Journal, Transaction
from engine.journal.records import ExecutionRecord, Request, StepRecord


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Bounds of a controller. All of them are told by `GetServerInfo`.

    request_bytes: of one request. watchers: event streams at the same time. calls_per_second: over a short while;
    burst: calls at once after a quiet time. stop_grace: how long calls may take to end when it stops.
    """

    request_bytes: int = 16 << 20
    watchers: int = 256
    calls_per_second: int = 1000
    burst: int = 2000
    stop_grace: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a controller is. instance_id: another one after each start."""

    version: str
    instance_id: str
    store_id: str
    process_id: int
    start_time: datetime
    checks: Sequence[str] = ()


_FULL_ID: Final = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Backend:
    """The engine and what goes with it."""

    engine: ExecutionEngine
    results: Results
    journal: Journal
    writer: JournalWriter
    blocking: Blocking
    clock: Clock
    identity: Identity

    async def find(self, text: str) -> ExecutionRecord:
        """By id, unique start of an id, name or `last`. Raises NotFoundError."""
        if not text:
            raise NotFoundError("execution", text)
        return await self.blocking(self.journal.find, text)

    async def status(self, text: str) -> tuple[ExecutionRecord, list[StepRecord]]:
        """The execution and its steps, at one look. Raises NotFoundError."""

        def look() -> tuple[ExecutionRecord, list[StepRecord]]:
            record = self.journal.find(text)
            return record, self.journal.steps(record.id)

        if not text:
            raise NotFoundError("execution", text)
        return await self.blocking(look)

    async def progress(self, text: str) -> Progress:
        """How far the execution is. Programs ask by a full id, and often: that takes one look. Raises NotFoundError."""
        if _FULL_ID.fullmatch(text):
            with suppress(NotFoundError):  # then it may be a name
                return await self.engine.get_progress(text)
        return await self.engine.get_progress((await self.find(text)).id)

    async def execution(self, execution_id: str) -> ExecutionRecord:
        """By its full id. Raises NotFoundError."""
        return await self.blocking(self.journal.execution, execution_id)

    async def remember(self, request: Request | None, execution_id: str, result: str = "") -> None:
        """For what is no harm when it is done twice: remembered after it was done."""

        def change(tx: Transaction) -> None:
            assert request is not None
            tx.remember(request, execution_id, result)

        if request is not None:
            await self.writer.write(change)
