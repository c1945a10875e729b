"""One watcher's view of one execution: what the journal has, then what happens, in order and without gaps.

The bus tells at once what this process does. For an execution that another process drives the journal is looked
at in short intervals. A watcher that does not keep up loses output, never events: when its queue overflowed, it
goes on from the journal. Nothing here knows of gRPC.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from engine.clock import Clock
from engine.events.bus import EventBus, Subscription
from engine.events.types import Event, EventKind, OutputChunk
from engine.execution.attempt import Blocking
from engine.journal.journal import Journal
from engine.journal.states import ENDED

PAGE: Final = 256
"""Events in one batch at most."""
BATCH_BYTES: Final = 256 << 10
"""Bytes of output in one batch, about."""
LOOK_AGAIN: Final = timedelta(milliseconds=200)
"""How often the journal is looked at for an execution that another process drives."""
FINAL: Final = frozenset({EventKind.EXECUTION_COMPLETED, EventKind.EXECUTION_FAILED, EventKind.EXECUTION_CANCELLED})


@dataclass(slots=True)
class Batch:
    """Some events and some output; with neither, a sign of life. last: the newest event so far.

    dropped_bytes: of output, left out so far.
    """

    last: int
    events: list[Event] = field(default_factory=list)
    output: list[OutputChunk] = field(default_factory=list)
    dropped_bytes: int = 0

    @property
    def empty(self) -> bool:
        return not self.events and not self.output


class Watch:
    """Makes batches for one watcher. `drives` tells whether this process drives the execution now."""

    def __init__(
        self,
        journal: Journal,
        bus: EventBus,
        blocking: Blocking,
        clock: Clock,
        drives: Callable[[str], bool],
    ) -> None:
        self._journal = journal
        self._bus = bus
        self._blocking = blocking
        self._clock = clock
        self._drives = drives

    async def batches(
        self, execution_id: str, after: int, *, include_output: bool, heartbeat: timedelta
    ) -> AsyncIterator[Batch]:
        """Batches until the execution has ended and all its events were given, or the bus is closed.

        At least every `heartbeat` one comes, empty if need be. Raises NotFoundError: no such execution.
        """
        subscription = self._bus.subscribe(execution_id)
        try:
            last, may_be_over, told = after, True, self._clock.monotonic()
            async for batch in self._written(execution_id, last):
                last = batch.last
                yield batch
            while not (may_be_over and await self._over(execution_id, last)):
                driven = self._drives(execution_id)
                left = heartbeat - timedelta(seconds=self._clock.monotonic() - told)
                heard = await self._heard(subscription, left if driven else min(LOOK_AGAIN, left))
                may_be_over = not driven
                async for batch in self._news(subscription, execution_id, last, include_output):
                    may_be_over = may_be_over or any(event.kind in FINAL for event in batch.events)
                    last, told = batch.last, self._clock.monotonic()
                    batch.dropped_bytes = subscription.dropped_output_bytes
                    yield batch
                if heard and subscription.closed:
                    return
                if timedelta(seconds=self._clock.monotonic() - told) >= heartbeat:
                    told = self._clock.monotonic()
                    yield Batch(last, dropped_bytes=subscription.dropped_output_bytes)
        finally:
            subscription.close()

    async def _written(self, execution_id: str, last: int) -> AsyncIterator[Batch]:
        """What the journal has above `last`."""
        while page := await self._blocking(self._journal.events, execution_id, last, PAGE):
            last = page[-1].sequence
            yield Batch(last, events=page)

    async def _over(self, execution_id: str, last: int) -> bool:
        """Whether nothing more will come. Costs a look into the journal."""
        record = await self._blocking(self._journal.execution, execution_id)
        return record.state in ENDED and record.last_sequence <= last

    async def _heard(self, subscription: Subscription, longest: timedelta) -> bool:
        """Wait for something from the bus, but no longer than `longest`."""
        hearing = asyncio.ensure_future(subscription.wait())
        timer = asyncio.ensure_future(self._clock.sleep(longest))
        try:
            await asyncio.wait({hearing, timer}, return_when=asyncio.FIRST_COMPLETED)
            return hearing.done()
        finally:
            hearing.cancel()
            timer.cancel()
            await asyncio.gather(hearing, timer, return_exceptions=True)

    async def _news(
        self, subscription: Subscription, execution_id: str, last: int, include_output: bool
    ) -> AsyncIterator[Batch]:
        """What is queued, in batches; where events are missing, what the journal has instead."""
        while True:
            batch, complete = self._queued(subscription, last, include_output)
            if not batch.empty:
                last = batch.last
                yield batch
            if not complete or not self._drives(execution_id):
                async for written in self._written(execution_id, last):
                    last = written.last
                    yield written
            if batch.empty:
                return

    def _queued(self, subscription: Subscription, last: int, include_output: bool) -> tuple[Batch, bool]:
        """One batch of what is queued; False when an event between is missing."""
        batch, room = Batch(last), BATCH_BYTES
        complete = not subscription.gap
        subscription.gap = False
        while complete and len(batch.events) < PAGE and room > 0 and (item := subscription.take()) is not None:
            if isinstance(item, OutputChunk):
                if include_output:
                    batch.output.append(item)
                    room -= len(item.data)
            elif item.sequence == batch.last + 1:
                batch.events.append(item)
                batch.last = item.sequence
            elif item.sequence > batch.last:
                complete = False
        return batch, complete
