"""What a soak counts, and how docs/soak.md tells it: a section for each victim, of which a soak writes its own."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

TITLES: Final = {"serve": "Killed: `sandstone serve`", "run": "Killed: `sandstone run` and `resume`"}
"""Victim -> heading, in the order of the page."""

_HEAD: Final = """\
# Soak: the controller killed at random moments

Made by `make soak` (`SANDSTONE_SOAK_VICTIM`: serve, the default, or run; `SANDSTONE_SOAK_KILLS`, default 500;
`SANDSTONE_SOAK_SEED`; `SANDSTONE_SOAK_MINUTES`), which goes on where it was stopped. After each SIGKILL the journal
is compared with what the dead process had committed, with the disk, and with what is on the machine; each execution
that completes in the end is compared with what its plan should have made. Kills at every *named* point, rather than a
random one, are `tests/faults/test_failpoints.py` and `test_serve_failpoints.py`. Times are upper bounds: the machine
did other work meanwhile.
"""
_WORDS: Final = {
    "serve": """\
A controller drives three executions over one project at once, two of which run and one of which waits for its turn. It
is killed at a moment drawn evenly from the time that they take. The next controller (its start, until it listens, is
what the recovery times are of) puts everything in order, tells every execution's state over gRPC, goes on with what
is paused, and is the next one that dies; every fourth is stopped in order first and must leave nothing, so that a kill
hits starts, too. The client repeats requests that got no answer, by the same id, and goes on watching events after the
last one that it was told: what it was told must be in the journal, without gap or repeat. `gc` runs every 40 kills.

Two earlier soaks were stopped by a fault, and this one was begun anew after each was mended. At a 172nd kill, a child
that the controller had just forked to make a user namespace outlived it, with its locks, and the next controller was
refused (test in `tests/unit/sandbox/workspace/test_privileged.py`). At a 12th kill, a new client in the same process
waited on the connection that an older one had lost (`tests/rpc/test_reconnecting.py`).
""",
    "run": """\
Each kill is of a `sandstone run` or `resume` at a moment drawn evenly from the time that the command takes; the next
command (`status`) recovers, and is what the recovery times are of.
""",
}


@dataclass
class Counts:
    """What was seen. recovery_ms: how long each recovery after a kill took. misheard: executions of which a client was
    told events that the journal does not have, or one twice, or not one between. faults: in words, with the kill's
    number."""

    seed: str
    victim: str = "run"
    kills: int = 0
    completed: int = 0
    lost_checkpoints: int = 0
    leaks: int = 0
    falsely_passed: int = 0
    disagreements: int = 0
    misheard: int = 0
    made_twice: int = 0
    seconds: float = 0.0
    phases: dict[str, int] = field(default_factory=dict)
    recovery_ms: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    machine: str = ""

    @property
    def clean(self) -> bool:
        return not self.faults

    def fault(self, kind: str, words: str) -> None:
        """kind: the field that counts it."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.faults.append(f"kill {self.kills}: {kind}: {words}"[:2000])

    def write(self, record: Path) -> None:
        """All of it, at once or not."""
        part = record.with_suffix(".part")
        part.write_text(json.dumps(asdict(self)))
        part.replace(record)

    @classmethod
    def read(cls, record: Path, seed: str, victim: str) -> Counts:
        """Those of an earlier soak with this seed and victim, else new ones."""
        if record.exists():
            found = cls(**json.loads(record.read_text()))
            if (found.seed, found.victim) == (seed, victim):
                return found
        return cls(seed, victim)


def machine() -> str:
    """What it was measured on. Of the kernel its version, without what a builder adds to it."""
    version = re.match(r"[0-9.]*[0-9]", platform.release())
    kernel = version[0] if version else platform.release()
    return f"{os.cpu_count()} processors, Linux {kernel}, Python {platform.python_version()}"


def percentile(values: list[float], part: float) -> float:
    """Of the values the one that `part` (0 to 1) of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def summary(counts: Counts) -> dict[str, Any]:
    """The figures that are told."""
    heard = {
        "events lost, missed or told twice (executions)": counts.misheard,
        "requests done twice": counts.made_twice,
    }
    return {
        "kills": counts.kills,
        "executions that completed": counts.completed,
        "lost checkpoints": counts.lost_checkpoints,
        "leaks (containers, mounts, loop devices, slots, leases)": counts.leaks,
        "falsely passed": counts.falsely_passed,
        "journal and disk disagreed": counts.disagreements,
        **(heard if counts.victim == "serve" else {}),
        "upper bound of the true rate of each zero (3/n, 95 %)": f"{3 / max(1, counts.kills):.4f}",
        "recovery p50": f"{percentile(counts.recovery_ms, 0.5):.0f} ms",
        "recovery p95": f"{percentile(counts.recovery_ms, 0.95):.0f} ms",
        "recovery max": f"{max(counts.recovery_ms, default=0.0):.0f} ms",
        "seconds per kill": f"{counts.seconds / max(1, counts.kills):.2f}",
        "seed": counts.seed,
        "machine": counts.machine,
    }


def section(counts: Counts) -> str:
    """The victim's part of the page, without its heading."""
    rows = "".join(f"| {name} | {value} |\n" for name, value in summary(counts).items())
    phases = "".join(f"| {name} | {number} |\n" for name, number in sorted(counts.phases.items()))
    return (
        f"{_WORDS[counts.victim]}\n| | |\n|---|---|\n{rows}\n"
        f"What the process was doing when it died, as far as its journal tells:\n\n| | kills |\n|---|---|\n{phases}"
    )


def page(counts: Counts, before: str = "") -> str:
    """docs/soak.md with the section of this victim; that of the other is as in the page `before`."""
    found = {}
    for part in before.split("\n## ")[1:]:
        title, _, text = part.partition("\n\n")
        found[title] = text.rstrip("\n") + "\n"
    found[TITLES[counts.victim]] = section(counts)
    sections = [f"\n## {title}\n\n{found[title]}" for title in TITLES.values() if title in found]
    return _HEAD + "".join(sections)
