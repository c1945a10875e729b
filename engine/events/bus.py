"""Hands events to whoever listens, without ever waiting for them.

Each subscriber has a queue bounded in items and in bytes of output. A subscriber that does not keep up loses
output chunks first (counters tell); when even events overflow, the oldest are dropped and `gap` is set: it then
reads the journal from the last sequence it saw. The publisher never blocks and never fails because of a subscriber.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from engine.events.types import Event, OutputChunk

CAPACITY: Final = 4096
"""Items that a subscriber may have waiting."""
OUTPUT_BYTES: Final = 4 << 20
"""Bytes of output that a subscriber may have waiting."""


class Subscription:
    """One listener's queue; iterate it with `async for`, or `wait` and `take`. Ends when closed and drained.

    dropped_output_bytes: of chunks left out so far. gap: events were; the reader resets it.
    """

    def __init__(self, bus: EventBus, execution_id: str | None, capacity: int, output_bytes: int) -> None:
        self._bus = bus
        self.execution_id = execution_id
        self._capacity = capacity
        self._output_bytes = self._output_room = output_bytes
        self._items: deque[Event | OutputChunk] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self.dropped_output_bytes = 0
        self.gap = False

    def offer(self, item: Event | OutputChunk) -> None:
        """Called by the bus: queue the item or drop by the rule above."""
        if isinstance(item, OutputChunk):
            if len(self._items) >= self._capacity or len(item.data) > self._output_room:
                self._drop(item)
                return
            self._output_room -= len(item.data)
        elif len(self._items) >= self._capacity and not self._drop_one_output():
            self._items.popleft()
            self.gap = True
        self._items.append(item)
        self._wake.set()

    def _drop(self, chunk: OutputChunk) -> None:
        self.dropped_output_bytes += len(chunk.data)

    def _drop_one_output(self) -> bool:
        if self._output_room == self._output_bytes:
            return False
        for index, queued in enumerate(self._items):
            if isinstance(queued, OutputChunk):
                del self._items[index]
                self._output_room += len(queued.data)
                self._drop(queued)
                return True
        return False

    async def wait(self) -> None:
        """Return when something is queued, or the subscription is closed."""
        while not self._items and not self._closed:
            self._wake.clear()
            await self._wake.wait()

    def take(self) -> Event | OutputChunk | None:
        """The next item; None when nothing is queued."""
        if not self._items:
            return None
        item = self._items.popleft()
        if isinstance(item, OutputChunk):
            self._output_room += len(item.data)
        return item

    @property
    def closed(self) -> bool:
        """True after `close`; what is queued can still be taken."""
        return self._closed

    def close(self) -> None:
        """Stop listening. Idempotent; what is queued can still be read."""
        self._closed = True
        self._bus.forget(self)
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[Event | OutputChunk]:
        while True:
            while (item := self.take()) is not None:
                yield item
            if self._closed:
                return
            await self.wait()


class EventBus:
    """The one place where events are published. Lives on one event loop."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def subscribe(
        self, execution_id: str | None = None, capacity: int = CAPACITY, output_bytes: int = OUTPUT_BYTES
    ) -> Subscription:
        """Listen to one execution (None: all) from now on."""
        subscription = Subscription(self, execution_id, capacity, output_bytes)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def close(self) -> None:
        """End every subscription: nothing more will be published. What is queued can still be read."""
        for subscription in tuple(self._subscriptions):
            subscription.close()

    def publish(self, item: Event | OutputChunk) -> None:
        for subscription in tuple(self._subscriptions):
            if subscription.execution_id in (None, item.execution_id):
                subscription.offer(item)
