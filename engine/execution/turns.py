"""In what order waiting executions get their turn. Pure.

Those that were paused and go on come before those that never ran: what they hold (a frozen container, a volume) is
given back soonest that way. Among equals the workspaces take turns, so that one with a hundred executions does not
keep another's only one waiting; within a workspace it is first come, first served.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waiting:
    """An execution in the queue. number: rises with the order in which they came."""

    execution_id: str
    workspace: str
    resumed: bool
    number: int


def in_turn(waiting: Sequence[Waiting], turns: Mapping[str, int]) -> list[Waiting]:
    """All of them, the next one first, as their turns would come if nothing else happened.

    turns: for each workspace the number of its last turn; numbers rise by one with each turn of any workspace.
    """
    order: list[Waiting] = []
    last = dict(turns)
    number = max(last.values(), default=0)
    for resumed in (True, False):
        queues: dict[str, deque[Waiting]] = {}
        for one in sorted(waiting, key=lambda one: one.number):
            if one.resumed is resumed:
                queues.setdefault(one.workspace, deque()).append(one)
        ready = [(last.get(workspace, 0), queue[0].number, workspace) for workspace, queue in queues.items()]
        heapq.heapify(ready)
        while ready:
            _, _, workspace = heapq.heappop(ready)
            order.append(queues[workspace].popleft())
            number += 1
            last[workspace] = number
            if queues[workspace]:
                heapq.heappush(ready, (number, queues[workspace][0].number, workspace))
    return order
