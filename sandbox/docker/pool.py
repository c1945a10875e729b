"""Containers that wait, and who gets one.

What should wait is decided in `supply.py`; `SandboxPool` carries it out. A claim never waits for the bounds: with
nothing waiting it joins a start that is under way or makes its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sandbox.docker.container import Container
from sandbox.docker.supply import Idle, PoolBounds, decide, wishes
from sandbox.errors import SandboxError, SandboxUnavailableError
from sandbox.spec import SandboxSpec

__all__ = ["PoolBounds", "SandboxPool"]

_LOG: Final = logging.getLogger(__name__)
_FIRST_RETRY: Final = 1.0
_MOST_RETRIES: Final = 5
_REFILL_DELAY: Final = 0.05
"""Starting a container keeps two processors busy for a while. As long as something still waits, the refill lets
the sandbox that was just claimed go first: most commands are over by then."""


@dataclass(slots=True, eq=False)
class _Flight:
    """A start under way; a claimed one goes to its claimant, an unclaimed one to the waiting ones."""

    spec: SandboxSpec
    task: asyncio.Task[Container]
    claimed: bool


@dataclass(slots=True)
class _Backoff:
    """A kind that failed to start is left alone for a while: a claim of it will get the real error."""

    failures: int
    until: float


Starter = Callable[[SandboxSpec], Awaitable[Container]]
Disposer = Callable[[Container], None]


class SandboxPool:
    """Carries out `decide`. `start` makes a container, `dispose` gets rid of one in the background.

    All methods run on one event loop; none but `take` and `close` waits for anything.
    """

    def __init__(self, start: Starter, dispose: Disposer, bounds: PoolBounds) -> None:
        self._start = start
        self._dispose = dispose
        self._bounds = bounds
        self._expected: dict[str, tuple[SandboxSpec, ...]] = {}
        self._recent: OrderedDict[SandboxSpec, None] = OrderedDict()
        self._waiting: dict[Container, float] = {}
        self._flights: list[_Flight] = []
        self._backoff: dict[SandboxSpec, _Backoff] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._refilling: asyncio.TimerHandle | None = None
        self._closed = asyncio.Event()

    @property
    def waiting(self) -> Counter[SandboxSpec]:
        """How many containers of each kind wait now."""
        return Counter(container.spec for container in self._waiting)

    @property
    def expects(self) -> bool:
        """Whether anybody has said that it will claim more."""
        return bool(self._expected)

    def expect(self, owner: str, specs: Sequence[SandboxSpec]) -> None:
        """See `SandboxProvider.expect`."""
        if specs:
            self._expected[owner] = tuple(specs)
        else:
            self._expected.pop(owner, None)
        self._refill()

    async def take(self, spec: SandboxSpec) -> Container:
        """A container of this kind: one that waits, one that is being started, or a new one.

        Raises what starting one raises.
        """
        if self._closed.is_set():
            raise SandboxUnavailableError("the provider is closed")
        self._remember(spec)
        container = self._pop_waiting(spec)
        if container is not None:
            self._refill()
            return container
        flight = next((one for one in self._flights if one.spec == spec and not one.claimed), None)
        if flight is None:
            flight = self._launch(spec, claimed=True)
        flight.claimed = True
        self._refill()
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if self._closed.is_set() and flight.task.cancelled():
                raise SandboxUnavailableError("the provider is closed") from None
            flight.claimed = False
            self._land(flight)
            raise

    def keep_recent(self, kinds: int) -> None:
        """From now on keep one of each of the last `kinds` kinds claimed ready, though nobody expects them."""
        self._bounds = replace(self._bounds, recent_kinds=kinds)
        self.rebalance()

    def give_back(self, container: Container) -> None:
        """Return a container that was taken and not used."""
        if self._closed.is_set() or container.init.dead.is_set():
            self._dispose(container)
        else:
            self._keep(container)
        self.rebalance()

    def rebalance(self) -> None:
        """Start and stop what `decide` says. Called whenever something has changed."""
        if self._refilling is not None:
            self._refilling.cancel()
            self._refilling = None
        if self._closed.is_set():
            return
        now = asyncio.get_running_loop().time()
        blocked = {spec for spec, backoff in self._backoff.items() if backoff.until > now}
        wanted = [spec for spec in wishes(self._expected, tuple(self._recent)) if spec not in blocked]
        idle = [
            Idle(container.id, container.spec, timedelta(seconds=now - since))
            for container, since in self._waiting.items()
        ]
        starting = [flight.spec for flight in self._flights if not flight.claimed]
        decision = decide(wanted, idle, starting, self._bounds)
        for container in [one for one in self._waiting if one.id in decision.stop]:
            del self._waiting[container]
            self._dispose(container)
        for spec in decision.start:
            self._launch(spec, claimed=False)
        self._set_timer(now)

    async def settled(self) -> None:
        """Wait until everything wanted waits: no start is under way and no refill is due."""
        while self._flights or self._refilling is not None:
            if self._refilling is not None:
                self.rebalance()
            await asyncio.gather(*(flight.task for flight in self._flights), return_exceptions=True)
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Dispose of everything that waits or is being started. Idempotent."""
        self._closed.set()
        for timer in (self._timer, self._refilling):
            if timer is not None:
                timer.cancel()
        flights = [flight.task for flight in self._flights]
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        while self._waiting:
            self._dispose(self._waiting.popitem()[0])

    # -- inside ----------------------------------------------------------------------------------

    def _refill(self) -> None:
        """Rebalance soon; at once when the kind wanted next has nothing waiting."""
        if self._closed.is_set():
            return
        wanted = wishes(self._expected, tuple(self._recent))
        if not wanted or wanted[0] not in self.waiting:
            self.rebalance()
        elif self._refilling is None:
            self._refilling = asyncio.get_running_loop().call_later(_REFILL_DELAY, self.rebalance)

    def _remember(self, spec: SandboxSpec) -> None:
        self._recent[spec] = None
        self._recent.move_to_end(spec, last=False)
        while len(self._recent) > self._bounds.recent_kinds:
            self._recent.popitem()

    def _pop_waiting(self, spec: SandboxSpec) -> Container | None:
        for container in self._waiting:
            if container.spec == spec and not container.init.dead.is_set():
                del self._waiting[container]
                return container
        return None

    def _launch(self, spec: SandboxSpec, *, claimed: bool) -> _Flight:
        flight = _Flight(spec, asyncio.ensure_future(self._begin(spec)), claimed)
        self._flights.append(flight)
        flight.task.add_done_callback(lambda _: self._land(flight))
        return flight

    async def _begin(self, spec: SandboxSpec) -> Container:
        return await self._start(spec)

    def _land(self, flight: _Flight) -> None:
        """A start has ended (or its claimant has gone): see where its container goes."""
        if not flight.task.done():
            return
        if flight in self._flights:
            self._flights.remove(flight)
        elif flight.claimed:
            return
        if flight.task.cancelled():
            return
        error = flight.task.exception()
        if error is not None:
            self._note_failure(flight.spec, error)
        else:
            self._backoff.pop(flight.spec, None)
            if not flight.claimed:
                self._arrive(flight.task.result())
        self.rebalance()

    def _arrive(self, container: Container) -> None:
        if self._closed.is_set():
            self._dispose(container)
        elif container not in self._waiting:
            self._keep(container)

    def _keep(self, container: Container) -> None:
        self._waiting[container] = asyncio.get_running_loop().time()
        container.init.on_death(lambda: self._on_death(container))

    def _on_death(self, container: Container) -> None:
        """A waiting container died: somebody removed it, or the engine went down."""
        if self._waiting.pop(container, None) is not None:
            self._dispose(container)
            self.rebalance()

    def _note_failure(self, spec: SandboxSpec, error: BaseException) -> None:
        if not isinstance(error, SandboxError):
            _LOG.error("starting a sandbox failed", exc_info=error)
        failures = min(self._backoff[spec].failures + 1 if spec in self._backoff else 1, _MOST_RETRIES)
        until = asyncio.get_running_loop().time() + _FIRST_RETRY * 2 ** (failures - 1)
        self._backoff[spec] = _Backoff(failures, until)
        _LOG.info("no sandbox of image %s could be kept waiting: %s", spec.image_id, error)

    def _set_timer(self, now: float) -> None:
        """Wake up when the next container is too old, or a kind that failed may be tried again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        moments = [since + self._bounds.max_age.total_seconds() for since in self._waiting.values()]
        moments += [backoff.until for backoff in self._backoff.values() if backoff.until > now]
        if moments:
            self._timer = asyncio.get_running_loop().call_at(min(moments), self.rebalance)
