"""Where state is kept and what bounds the engine. Read from the environment once, at the composition root."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """home: directory of all state. waiting_per_spec, waiting_total: containers kept waiting at most.

    max_running: executions driven at once; each runs one sandbox at a time. max_queued: executions that wait for
    their turn, at most.
    """

    home: Path
    waiting_per_spec: int = 3
    waiting_total: int = 6
    max_running: int = field(default_factory=lambda: max(2, len(os.sched_getaffinity(0))))
    max_queued: int = 1000


def state_directory(environment: Mapping[str, str]) -> Path:
    """`$SANDSTONE_HOME`, else `$XDG_STATE_HOME/sandstone`, else `~/.local/state/sandstone`."""
    if environment.get("SANDSTONE_HOME"):
        return Path(environment["SANDSTONE_HOME"]).expanduser().absolute()
    state = environment.get("XDG_STATE_HOME")
    base = Path(state) if state and os.path.isabs(state) else Path.home() / ".local" / "state"
    return base / "sandstone"
