"""A slow listener loses output, then the oldest events, and is told; nobody waits for it."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.events.bus import EventBus, Subscription
from engine.events.types import Event, EventKind, OutputChunk
from sandbox.spec import Stream


def event(sequence: int, execution: str = "e") -> Event:
    return Event(execution, sequence, EventKind.STEP_STARTED, datetime.now(UTC))


def chunk() -> OutputChunk:
    return OutputChunk("e", "s", 1, Stream.STDOUT, b"x")


async def drain(subscription: Subscription) -> list[Event | OutputChunk]:
    subscription.close()
    return [item async for item in subscription]


async def test_items_arrive_in_order_and_only_of_the_execution_asked_for() -> None:
    bus = EventBus()
    subscription = bus.subscribe("e")
    for item in (event(1), event(1, "other"), chunk(), event(2)):
        bus.publish(item)
    kinds = [item.sequence if isinstance(item, Event) else "chunk" for item in await drain(subscription)]
    assert kinds == [1, "chunk", 2]


async def test_output_is_dropped_before_events() -> None:
    bus = EventBus()
    subscription = bus.subscribe(None, capacity=2)
    bus.publish(chunk())
    bus.publish(event(1))
    bus.publish(event(2))
    bus.publish(chunk())
    items = await drain(subscription)
    assert [item.sequence for item in items if isinstance(item, Event)] == [1, 2]
    assert subscription.dropped_output_bytes == 2 * len(chunk().data)
    assert not subscription.gap


async def test_when_events_overflow_the_oldest_go_and_the_gap_is_told() -> None:
    bus = EventBus()
    subscription = bus.subscribe(None, capacity=2)
    for sequence in (1, 2, 3):
        bus.publish(event(sequence))
    assert subscription.gap
    assert [item.sequence for item in await drain(subscription) if isinstance(item, Event)] == [2, 3]


async def test_after_close_nothing_more_is_offered() -> None:
    bus = EventBus()
    subscription = bus.subscribe()
    subscription.close()
    subscription.close()
    bus.publish(event(1))
    assert await drain(subscription) == []
