"""The queue of executions: at most so many are driven at once, the others wait for their turn.

An execution runs one sandbox at a time, so this also bounds how many sandboxes run. Whose turn it is, `turns.py`
decides. Lives on one event loop; nothing here blocks.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Final

from engine.errors import QueueFullError
from engine.execution.turns import Waiting, in_turn

_REMEMBERED: Final = 4096
"""Of so many workspaces the last turns are kept."""


class Place:
    """One execution's place: in the queue, then among those that are driven."""

    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting
        self._turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def granted(self) -> bool:
        """It is its turn (or was)."""
        return self._turn.done() and self._turn.result()

    async def turn(self) -> bool:
        """Return True when its turn has come, False when it has left before."""
        return await asyncio.shield(self._turn)

    def settle(self, granted: bool) -> None:
        """Called by the queue."""
        if not self._turn.done():
            self._turn.set_result(granted)


@dataclass(frozen=True, slots=True)
class Load:
    """Executions that are driven and that wait, and how many of each there may be."""

    running: int
    queued: int
    max_running: int
    max_queued: int


class ExecutionQueue:
    """max_running: executions driven at once. max_queued: executions that wait, at most."""

    def __init__(self, max_running: int, max_queued: int) -> None:
        self._max_running = max_running
        self._max_queued = max_queued
        self._numbers = itertools.count(1)
        self._waiting: dict[str, Place] = {}
        self._running: dict[str, Place] = {}
        self._turns: dict[str, int] = {}
        self._served = 0

    @property
    def running(self) -> frozenset[str]:
        """Ids of the executions whose turn it is."""
        return frozenset(self._running)

    @property
    def load(self) -> Load:
        """How full it is."""
        return Load(len(self._running), len(self._waiting), self._max_running, self._max_queued)

    @property
    def has_room(self) -> bool:
        """Whether the next one to enter need not wait."""
        return len(self._running) < self._max_running

    def check_room(self) -> None:
        """Raises QueueFullError: `enter` would."""
        if not self.has_room and len(self._waiting) >= self._max_queued:
            raise QueueFullError(self._max_queued)

    def enter(self, execution_id: str, workspace: str, *, resumed: bool) -> Place:
        """A place for the execution, granted at once where there is room.

        resumed: it was paused, and comes before those that never ran.

        Raises QueueFullError: too many wait.
        """
        self.check_room()
        place = Place(Waiting(execution_id, workspace, resumed, next(self._numbers)))
        self._waiting[execution_id] = place
        # A workspace that is new here comes before the one that was served last, not before those that wait longer.
        self._turns.setdefault(workspace, max(0, self._served - 1))
        self._fill()
        return place

    def leave(self, execution_id: str) -> None:
        """Give the place up, in the queue or among those that are driven. Idempotent."""
        waited = self._waiting.pop(execution_id, None)
        if waited is not None:
            waited.settle(granted=False)
        self._running.pop(execution_id, None)
        self._fill()

    def position(self, execution_id: str) -> int | None:
        """How many turns until its own, 1 for the next; None when it does not wait."""
        if execution_id not in self._waiting:
            return None
        order = [one.execution_id for one in self._order()]
        return order.index(execution_id) + 1

    def _order(self) -> list[Waiting]:
        return in_turn([place.waiting for place in self._waiting.values()], self._turns)

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self._max_running:
            chosen = self._order()[0]
            place = self._waiting.pop(chosen.execution_id)
            self._running[chosen.execution_id] = place
            self._served += 1
            self._turns[chosen.workspace] = self._served
            place.settle(granted=True)
        if not self._waiting and not self._running:
            self._turns.clear()
        elif len(self._turns) > _REMEMBERED:
            self._forget()

    def _forget(self) -> None:
        """Workspaces that have not had a turn for longest, and want none, are new when they come again."""
        wanted = {place.waiting.workspace for place in self._waiting.values()}
        idle = sorted((turn, workspace) for workspace, turn in self._turns.items() if workspace not in wanted)
        for _, workspace in idle[: len(self._turns) - _REMEMBERED]:
            del self._turns[workspace]
