"""Which containers should wait: pure decisions of the pool.

What is kept ahead is what the running executions said they will claim next, in turn, and, in a process that lives
on after its executions, one of each kind claimed lately. Bounds hold always: on containers per kind, in all, on the
sum of their memory limits, on starts under way, and on how long a container may wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest

from sandbox.spec import GIB, SandboxSpec


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
