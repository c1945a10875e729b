"""What an attempt uses: asked for while it runs, taken from its outcome when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.execution.attempt import AttemptOutcome
from engine.execution.control import RunControl
from engine.execution.decide import StepUsage
from sandbox.spec import ResourceUsage


@dataclass(slots=True)
class AttemptMeter:
    """Of the attempt under way. printed: bytes of output so far. disk: by how many bytes its volume has grown (it
    blocks: it asks a file system)."""

    control: RunControl
    printed: int = 0
    disk: Callable[[], int | None] = field(default=lambda: None)

    def usage(self, disk_bytes: int | None) -> StepUsage:
        """Until now; `disk_bytes` is what `disk` says."""
        sandboxes = self.control.sandboxes
        used = sandboxes[-1].usage() if sandboxes else ResourceUsage()
        return StepUsage(_milliseconds(used), used.memory_peak_bytes, disk_bytes, self.printed)


def outcome_usage(outcome: AttemptOutcome) -> StepUsage:
    """What a finished attempt used. Pure."""
    printed = outcome.stdout.total_bytes + outcome.stderr.total_bytes
    return StepUsage(_milliseconds(outcome.usage), outcome.usage.memory_peak_bytes, outcome.disk_bytes, printed)


def _milliseconds(usage: ResourceUsage) -> float | None:
    return None if usage.cpu_time is None else usage.cpu_time.total_seconds() * 1e3
