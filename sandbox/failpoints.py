"""Named points at which a process can be made to die, so that tests kill it exactly there.

With SANDSTONE_FAILPOINT=NAME[:N][:SIGNAL] in the environment the process sends itself SIGNAL (default KILL) when
it reaches the point NAME for the N-th time (default 1). The variable is read once; without it a point costs one
comparison. Safe to ship: who can set the environment of a controller can kill it anyway, and nothing that a plan,
a model or a sandbox says ever gets into that environment.

A new point is a member of a `Failpoint` class, next to the code that reaches it, and that code's call of
`reached`. `registered` lists them all; tests/faults/test_failpoints.py kills at each and fails when one is never
reached.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

VARIABLE: Final = "SANDSTONE_FAILPOINT"


class Failpoint(StrEnum):
    """Base of the classes that name points; a name is unique among them all."""


class SandboxPoint(Failpoint):
    """Points of containers and layers: directly after what the name says, `before-` directly before it."""

    LEASE_TAKEN = "lease-taken"

    VOLUME_RESERVED = "volume-reserved"
    VOLUME_FORMATTED = "volume-formatted"
    VOLUME_ATTACHED = "volume-attached"
    VOLUME_RECORDED = "volume-recorded"
    VOLUME_TRIMMED = "volume-trimmed"
    VOLUME_DETACHED = "volume-detached"
    VOLUME_FORGOTTEN = "volume-forgotten"
    """Its rows are gone, its files are not."""

    BEFORE_CREATE = "before-create"
    CONTAINER_CREATED = "container-created"
    """The engine has it, this process does not know its id yet."""
    CONTAINER_STARTED = "container-started"
    CONTAINER_READY = "container-ready"
    CONTAINER_REMOVED = "container-removed"
    """Its slot is still there."""

    LAYER_RECORDED = "layer-recorded"
    LAYER_MADE = "layer-made"
    BEFORE_MOUNT = "before-mount"
    AFTER_MOUNT = "after-mount"
    RUNNING = "running"
    """The request was sent."""
    COMMAND_ENDED = "command-ended"
    """Its exit code is known, its container still lives."""
    SANDBOX_DEAD = "sandbox-dead"
    """The layer is still mounted."""
    AFTER_UNMOUNT = "after-unmount"

    BEFORE_SEAL = "before-seal"
    MANIFEST_WRITTEN = "manifest-written"
    LAYER_SYNCED = "layer-synced"
    AFTER_SEAL = "after-seal"
    MERGING = "merging"
    MERGED = "merged"
    """Complete, and not in its place."""
    MERGE_PLACED = "merge-placed"
    LAYER_FORGOTTEN = "layer-forgotten"
    """Its row is gone, its directory is not."""

    REAPED_ONE = "reaped-one"
    REAPED = "reaped"
    DEAD_UNMOUNTED = "dead-unmounted"
    DEAD_LAYERS_FORGOTTEN = "dead-layers-forgotten"
    TIDIED_ONE = "tidied-one"
    TIDIED = "tidied"
    LEASES_FORGOTTEN = "leases-forgotten"


@dataclass(slots=True)
class Armed:
    """Where this process is to die: at `point`, when it is reached for the `nth` time, by `signal`."""

    point: str
    nth: int = 1
    signal: int = signal.SIGKILL
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def parse(cls, text: str) -> Armed | None:
        """`NAME[:N][:SIGNAL]`; None for the empty text. Raises ValueError: it is neither."""
        if not text:
            return None
        point, *rest = text.split(":")
        nth = int(rest.pop(0)) if rest and rest[0].isdigit() else 1
        number = signal.Signals[f"SIG{rest.pop(0)}"] if rest else signal.SIGKILL
        if rest or not point:
            raise ValueError(f"{VARIABLE} is {text!r}, not NAME[:N][:SIGNAL]")
        return cls(point, nth, number)


_armed = Armed.parse(os.environ.get(VARIABLE, ""))


def arm(text: str) -> None:
    """What the variable does, for a process that was forked from one that had read it already."""
    global _armed
    _armed = Armed.parse(text)


def reached(point: Failpoint) -> None:
    """Die here if this is the point. From any thread."""
    if _armed is not None and _armed.point == point:
        _count(_armed)


def _count(armed: Armed) -> None:
    with armed.lock:
        armed.nth -= 1
        if armed.nth == 0:
            os.kill(os.getpid(), armed.signal)


def registered() -> list[Failpoint]:
    """Every point of the modules that are imported."""
    return [point for names in Failpoint.__subclasses__() for point in names]
