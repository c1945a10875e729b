"""Containers that wait: which to start, which to stop, and who gets one.

Deciding is pure (`wishes`, `decide`); `SandboxPool` carries the decisions out. What is kept ahead is what the
running executions said they will claim next, in turn, and, in a process that lives on after its executions, one of
each kind claimed lately. Bounds hold always:
on containers per kind, in all, on the sum of their memory limits, on starts under way, and on how long a
container may wait. A claim never waits for the bounds: with nothing waiting it joins a start that is under way
or makes its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import Final

from sandbox.docker.container import Container
from sandbox.errors import SandboxError, SandboxUnavailableError
from sandbox.spec import GIB, SandboxSpec

_LOG: Final = logging.getLogger(__name__)
_FIRST_RETRY: Final = 1.0
_MOST_RETRIES: Final = 5
_REFILL_DELAY: Final = 0.05
"""Starting a container keeps two processors busy for a while. As long as something still waits, the refill lets
the sandbox that was just claimed go first: most commands are over by then."""


@dataclass(frozen=True, slots=True)
class PoolBounds:
    """Limits of what waits.

    per_spec, total: containers. memory_bytes: sum of their memory limits (a waiting container uses about 1 MiB
    of its own; the bound is on what they could use). starts: under way at once. max_age: a container that has
    waited so long is stopped, and replaced when it is still wanted. recent_kinds: how many kinds claimed lately
    are kept ready, one each, though nobody expects them; 0 is right for a process that ends with its execution.
    """

    per_spec: int = 3
    total: int = 6
    memory_bytes: int = 8 * GIB
    starts: int = 2
    max_age: timedelta = timedelta(minutes=10)
    recent_kinds: int = 0


@dataclass(frozen=True, slots=True)
class Idle:
    """A waiting container as `decide` sees it."""

    id: str
    spec: SandboxSpec
    age: timedelta


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now: kinds to start (in this order) and ids of waiting containers to stop."""

    start: tuple[SandboxSpec, ...] = ()
    stop: tuple[str, ...] = ()


def wishes(expected: Mapping[str, Sequence[SandboxSpec]], recent: Sequence[SandboxSpec]) -> list[SandboxSpec]:
    """Everything wanted, most urgent first: owners take turns, each in its own order; then recent kinds once.

    A kind lately claimed is wished for only when nobody expects it: an expectation says more.
    """
    turns = zip_longest(*(expected[owner] for owner in sorted(expected)))
    wanted = [spec for turn in turns for spec in turn if spec is not None]
    return wanted + [spec for spec in recent if spec not in wanted]


def decide(
    wanted: Sequence[SandboxSpec],
    waiting: Sequence[Idle],
    starting: Sequence[SandboxSpec],
    bounds: PoolBounds,
) -> Decision:
    """What brings the pool closest to `wanted` within `bounds`."""
    target = _targets(wanted, bounds)
    stop = [idle for idle in waiting if idle.age >= bounds.max_age]
    kept = [idle for idle in waiting if idle.age < bounds.max_age]
    held = Counter(idle.spec for idle in kept) + Counter(starting)
    missing: list[SandboxSpec] = []
    for spec in _in_order(wanted, target):
        if held[spec] + missing.count(spec) < target[spec]:
            missing.append(spec)
    surplus = _surplus(kept, target)
    start: list[SandboxSpec] = []
    for spec in missing[: max(0, bounds.starts - len(starting))]:
        present = [idle.spec for idle in kept] + list(starting) + start
        while surplus and not _fits([*present, spec], bounds):
            victim = surplus.pop(0)
            kept.remove(victim)
            stop.append(victim)
            present.remove(victim.spec)
        if not _fits([*present, spec], bounds):
            break
        start.append(spec)
    return Decision(tuple(start), tuple(idle.id for idle in stop))


def _targets(wanted: Sequence[SandboxSpec], bounds: PoolBounds) -> Counter[SandboxSpec]:
    """How many of each kind, taking wishes in order as long as they fit."""
    chosen: list[SandboxSpec] = []
    for spec in wanted:
        if chosen.count(spec) < bounds.per_spec and _fits([*chosen, spec], bounds):
            chosen.append(spec)
    return Counter(chosen)


def _in_order(wanted: Sequence[SandboxSpec], target: Counter[SandboxSpec]) -> list[SandboxSpec]:
    taken: Counter[SandboxSpec] = Counter()
    ordered = []
    for spec in wanted:
        if taken[spec] < target[spec]:
            taken[spec] += 1
            ordered.append(spec)
    return ordered


def _surplus(kept: Sequence[Idle], target: Counter[SandboxSpec]) -> list[Idle]:
    """Waiting containers beyond what is wanted of their kind, longest waiting first."""
    left = Counter(target)
    surplus = []
    for idle in sorted(kept, key=lambda one: one.age):
        if left[idle.spec] > 0:
            left[idle.spec] -= 1
        else:
            surplus.append(idle)
    return surplus[::-1]


def _fits(specs: Sequence[SandboxSpec], bounds: PoolBounds) -> bool:
    return len(specs) <= bounds.total and sum(spec.limits.memory_bytes for spec in specs) <= bounds.memory_bytes


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
