"""Journal first, then the bus: the one way in which the engine records and announces what happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from engine.events.bus import EventBus
from engine.execution.attempt import Blocking
from engine.failpoints import EnginePoint
from engine.journal.journal import Journal, Transaction
from sandbox.failpoints import reached

T = TypeVar("T")


class JournalWriter:
    """Runs journal transactions in a worker thread and publishes their events afterwards, never before."""

    def __init__(self, journal: Journal, bus: EventBus, blocking: Blocking) -> None:
        self.journal = journal
        self.bus = bus
        self.blocking = blocking

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """All of `change` or nothing; its events are on the bus when this returns."""

        def transact() -> tuple[T, Transaction]:
            reached(EnginePoint.BEFORE_JOURNAL_ROW)
            with self.journal.transaction() as transaction:
                made = change(transaction)
                reached(EnginePoint.JOURNAL_ROW_WRITTEN)
            reached(EnginePoint.AFTER_JOURNAL_ROW)
            return made, transaction

        result, transaction = await self.blocking(transact)
        for event in transaction.events:
            self.bus.publish(event)
        return result
