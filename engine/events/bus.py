"""Hands events to whoever listens, without ever waiting for them.

Each subscriber has a bounded queue. A subscriber that does not keep up loses output chunks first (a `dropped`
counter tells); when even events overflow, the oldest are dropped and `gap` is set: it then reads the journal
from the last sequence it saw. The publisher never blocks and never fails because of a subscriber.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from engine.events.types import Event, OutputChunk


class Subscription:
    """One listener's queue; iterate it with `async for`. Ends when closed and drained."""

    def __init__(self, bus: EventBus, execution_id: str | None, capacity: int) -> None:
        self._bus = bus
        self.execution_id = execution_id
        self._capacity = capacity
        self._items: deque[Event | OutputChunk] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self.dropped_output = 0
        self.gap = False

    def offer(self, item: Event | OutputChunk) -> None:
        """Called by the bus: queue the item or drop by the rule above."""
        if len(self._items) >= self._capacity:
            if isinstance(item, OutputChunk):
                self.dropped_output += 1
                return
            if not self._drop_one_output():
                self._items.popleft()
                self.gap = True
        self._items.append(item)
        self._wake.set()

    def _drop_one_output(self) -> bool:
        for index, queued in enumerate(self._items):
            if isinstance(queued, OutputChunk):
                del self._items[index]
                self.dropped_output += 1
                return True
        return False

    def close(self) -> None:
        """Stop listening. Idempotent; what is queued can still be read."""
        self._closed = True
        self._bus.forget(self)
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[Event | OutputChunk]:
        while True:
            while self._items:
                yield self._items.popleft()
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()


class EventBus:
    """The one place where events are published. Lives on one event loop."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def subscribe(self, execution_id: str | None = None, capacity: int = 4096) -> Subscription:
        """Listen to one execution (None: all) from now on."""
        subscription = Subscription(self, execution_id, capacity)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def publish(self, item: Event | OutputChunk) -> None:
        for subscription in tuple(self._subscriptions):
            if subscription.execution_id in (None, item.execution_id):
                subscription.offer(item)
