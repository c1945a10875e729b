"""Shows a running execution until this process no longer drives it. What is shown comes from the journal's
events, each once and in order, whatever the bus dropped; a signal cancels the execution cleanly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Protocol

from engine.cli.session import Session
from engine.errors import WrongStateError
from engine.events.bus import Subscription
from engine.events.types import Event, OutputChunk
from engine.journal.records import ExecutionRecord

if TYPE_CHECKING:
    from engine.app import Application
    from engine.journal.journal import Journal

FRAMES_PER_SECOND: Final = 10
PAGE: Final = 1000


class View(Protocol):
    """Shows an execution to a person."""

    def start(self) -> None: ...

    def event(self, event: Event) -> None: ...

    def output(self, chunk: OutputChunk) -> None: ...

    def tick(self) -> None:
        """Called FRAMES_PER_SECOND times a second."""
        ...

    def stop(self) -> None: ...


class EventFeed:
    """Puts what comes from the bus and what is in the journal into one gap-free sequence."""

    def __init__(self, journal: Journal, execution_id: str, after: int) -> None:
        self._journal = journal
        self._execution_id = execution_id
        self._last = after

    def take(self, event: Event) -> Iterator[Event]:
        """The events to show now that `event` was heard of: none when it was shown, more after a gap."""
        if event.sequence > self._last + 1:
            yield from self.rest()
        if event.sequence > self._last:
            self._last = event.sequence
            yield event

    def rest(self) -> Iterator[Event]:
        """All that the journal has beyond what was shown."""
        while page := self._journal.events(self._execution_id, self._last, PAGE):
            for event in page:
                self._last = event.sequence
                yield event


async def follow(
    session: Session, application: Application, execution_id: str, view: View, after: int
) -> ExecutionRecord:
    """Show the execution's events above `after` until it is no longer driven; the first signal cancels it."""
    feed = EventFeed(application.journal, execution_id, after)
    subscription = application.engine.bus.subscribe(execution_id)
    cancelling: list[asyncio.Task[None]] = []

    def cancel() -> None:
        session.output.note("cancelling; a second signal leaves at once")
        received = session.interrupts.received
        reason = "asked for" if received is None else f"interrupted by {received.name}"
        cancelling.append(asyncio.create_task(_cancel(application, execution_id, reason)))

    view.start()
    showing = asyncio.create_task(_show(subscription, feed, view))
    ticking = asyncio.create_task(_tick(view))
    try:
        with session.interrupts.doing(cancel):
            record = await application.engine.wait(execution_id)
            await asyncio.gather(*cancelling)
    finally:
        subscription.close()
        ticking.cancel()
        await asyncio.gather(showing, ticking, return_exceptions=True)
        for event in feed.rest():
            view.event(event)
        view.stop()
    showing.result()
    return record


async def _show(subscription: Subscription, feed: EventFeed, view: View) -> None:
    for event in feed.rest():
        view.event(event)
    async for item in subscription:
        if isinstance(item, OutputChunk):
            view.output(item)
        else:
            for event in feed.take(item):
                view.event(event)


async def _tick(view: View) -> None:
    while True:
        await asyncio.sleep(1 / FRAMES_PER_SECOND)
        view.tick()


async def _cancel(application: Application, execution_id: str, reason: str) -> None:
    try:
        await application.engine.cancel(execution_id, reason)
    except WrongStateError:
        # It came to its own end before the cancel did; that end is what `wait` returns.
        return
