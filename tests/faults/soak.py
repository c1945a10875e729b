"""Kills the controller at random moments, many times, and counts what that loses: `make soak`.

    python -m tests.faults.soak [--kills N] [--seed TEXT] [--minutes M] [--record FILE] [--table FILE]

One kill: start a run, or resume what the kill before left, SIGKILL it at a moment drawn by lot from the time that
the command takes, look at the journal as the dead process left it, run the next command (timed: it recovers), and
compare journal, disk and machine. Each run that gets through is compared with what it should have made. All is
written to the record after every kill, so that a soak that is stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.e2e.command_bench import Running
from tests.faults.consistency import Row, assert_consistent, assert_disk_agrees, checkpoints, executions
from tests.faults.victims import QuickBench, RunVictim, Victim, quick_bench

SMALL: Final = 16
PLAN: Final = (
    "version: 1\nsandbox: {disk: 24MiB, memory: 64MiB}\nsteps:\n"
    '  - {id: make, type: file_create, path: log, content: "make\\n"}\n'
    "  - {id: first, type: command, run: 'echo first >> log; mkdir -p d/e; seq 500 > d/e/f; rm -r old; echo said'}\n"
    + "".join(f"  - {{id: s{n}, type: file_create, path: s/{n}, content: '{n}'}}\n" for n in range(SMALL))
    + "  - {id: edit, type: file_edit, path: kept, replace: {search: kept, with: changed}}\n"
    "  - {id: second, type: command, run: 'echo second >> log; rm -r d/e; for i in 1 2 3 4; do echo $i > d/$i; done'}\n"
    "  - {id: gone, type: file_delete, path: s/0}\n"
    "  - {id: look, type: test, run: 'cat log; test ! -e old'}\n"
)
"""Enough layers for merging, three containers, every way to change a file; a second on a quiet machine."""
LOG: Final = "make\nfirst\nsecond\n"
CHANGES: Final = {
    "log": "added",
    "kept": "modified",
    "old": "deleted",
    "old/file": "deleted",
    "s": "added",
    "d": "added",
    **{f"d/{n}": "added" for n in (1, 2, 3, 4)},
    **{f"s/{n}": "added" for n in range(1, SMALL)},
}
GC_EVERY: Final = 40
"""Kills between two collections, which keep the store small."""


@dataclass
class Counts:
    """What was seen. recovery_ms: how long each command after a kill took. faults: in words, with the kill's number."""

    seed: str
    kills: int = 0
    completed: int = 0
    lost_checkpoints: int = 0
    leaks: int = 0
    falsely_passed: int = 0
    disagreements: int = 0
    seconds: float = 0.0
    phases: dict[str, int] = field(default_factory=dict)
    recovery_ms: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    machine: str = ""

    @property
    def clean(self) -> bool:
        return not (self.lost_checkpoints or self.leaks or self.falsely_passed or self.disagreements)

    @classmethod
    def read(cls, record: Path, seed: str) -> Counts:
        """Those of an earlier soak with this seed, else new ones."""
        if record.exists():
            found = cls(**json.loads(record.read_text()))
            if found.seed == seed:
                return found
        return cls(seed)


class Soak:
    """Kills until told to stop. victim: what is killed; bench: where it runs."""

    def __init__(self, bench: QuickBench, victim: Victim, counts: Counts) -> None:
        self.bench = bench
        self.victim = victim
        self.counts = counts
        self._open: str | None = None
        self._typical_s = 1.5
        self._project = bench.files()

    def kill_once(self) -> None:
        """One kill and all that is looked at afterwards."""
        counts = self.counts
        # A draw that depends on the number alone goes on after an interruption as if there had been none.
        draw = random.Random(f"{counts.seed} {counts.kills}")
        began = time.monotonic()
        before = executions(self.bench)
        running = self.victim.resume(self._open) if self._open else self.victim.start(PLAN)
        moment = draw.uniform(0, self._typical_s)
        running.for_another(moment)
        running.process.kill()
        code, _ = running.ended()
        states = executions(self.bench)
        if self._open is None:
            self._open = next((key for key in states if key not in before), None)
        counts.phases[self._phase(states, code)] = counts.phases.get(self._phase(states, code), 0) + 1
        committed = {key: checkpoints(self.bench, key) for key in states}
        recovery = time.monotonic()
        shown = {found["execution_id"]: found["state"] for found in self.bench.shown("status")}
        counts.recovery_ms.append(round((time.monotonic() - recovery) * 1e3, 1))
        counts.kills += 1
        self._compare(states, shown, committed)
        if self._open and shown.get(self._open) == "completed":
            self._judge(self._open)
        if counts.kills % GC_EVERY == 0:
            self.finish()
            self.bench("gc", "--all")
        counts.seconds += time.monotonic() - began

    def _phase(self, states: dict[str, str], code: int) -> str:
        """What the process was doing, as far as the journal and its exit tell."""
        if code >= 0:
            return "had ended by itself"
        if self._open is None:
            return "starting"
        if states[self._open] == "completed":
            return "closing"
        if states[self._open] in ("idle", "paused"):
            return "opening"
        rows = self.bench.rows("SELECT type FROM steps WHERE execution_id=? AND state='running'", self._open)
        return f"in a step: {rows[0][0]}" if rows else "between steps"

    def _compare(self, states: dict[str, str], shown: dict[str, str], committed: dict[str, list[Row]]) -> None:
        left = self.bench.left()
        if left:
            self._fault("leaks", f"left {left}")
        for key, rows in committed.items():
            if checkpoints(self.bench, key)[: len(rows)] != rows:
                self._fault("lost_checkpoints", f"{key} had {rows}")
            expected = "completed" if states[key] == "completed" else "paused"
            if shown.get(key) != expected:
                self._fault("disagreements", f"{key} was {states[key]} and is {shown.get(key)}")
        try:
            for key in states:
                assert_consistent(self.bench, key, "journal")
            assert_disk_agrees(self.bench, "disk")
        except AssertionError as error:
            self._fault("disagreements", repr(error))
        if self.bench.files() != self._project:
            self._fault("disagreements", "the project was touched")

    def _judge(self, execution_id: str) -> None:
        """It is called completed: is it?"""
        steps = self.bench.shown("status", execution_id)["steps"]
        changes = {found["path"]: found["change"] for found in self.bench.shown("diff", execution_id)["changes"]}
        if steps[-1]["stdout_tail"] != LOG or changes != CHANGES:
            self._fault("falsely_passed", f"{execution_id}: {steps[-1]['stdout_tail']!r}, {changes}")
        self.counts.completed += 1
        self._open = None

    def _fault(self, kind: str, words: str) -> None:
        setattr(self.counts, kind, getattr(self.counts, kind) + 1)
        self.counts.faults.append(f"kill {self.counts.kills}: {kind}: {words}"[:2000])

    def finish(self) -> None:
        """Let what is open get through, and judge it."""
        if self._open is None:
            return
        began = time.monotonic()
        running: Running = self.victim.resume(self._open)
        code, stdout = running.ended()
        self._typical_s = 0.5 * self._typical_s + 0.5 * (time.monotonic() - began)
        if code != 0:
            self._fault("disagreements", f"resume of {self._open} ended with {code}: {stdout} {running.stderr!r}")
            self._open = None
            return
        self._judge(self._open)


def make_project(bench: QuickBench) -> None:
    (bench.project / "kept").write_text("kept\n")
    (bench.project / "old").mkdir()
    (bench.project / "old/file").write_text("old\n")


def soak(kills: int, seed: str, minutes: float, record: Path | None) -> Counts:
    """Kill until there were `kills` of them (those of the record counted) or the time is over."""
    counts = Counts.read(record, seed) if record else Counts(seed)
    counts.machine = f"{os.cpu_count()} processors, Linux {platform.release()}, Python {platform.python_version()}"
    deadline = time.monotonic() + minutes * 60
    with quick_bench() as bench:
        make_project(bench)
        this = Soak(bench, RunVictim(bench), counts)
        while counts.kills < kills and time.monotonic() < deadline:
            this.kill_once()
            if record:
                part = record.with_suffix(".part")
                part.write_text(json.dumps(asdict(counts)))
                part.replace(record)
        this.finish()
    return counts


def percentile(values: list[float], part: float) -> float:
    """Of the values the one that `part` (0 to 1) of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def summary(counts: Counts) -> dict[str, Any]:
    """The figures that are told."""
    return {
        "kills": counts.kills,
        "executions that completed": counts.completed,
        "lost checkpoints": counts.lost_checkpoints,
        "leaks (containers, mounts, loop devices, slots, leases)": counts.leaks,
        "falsely passed": counts.falsely_passed,
        "journal and disk disagreed": counts.disagreements,
        "upper bound of the true rate of each zero (3/n, 95 %)": f"{3 / max(1, counts.kills):.4f}",
        "recovery p50": f"{percentile(counts.recovery_ms, 0.5):.0f} ms",
        "recovery p95": f"{percentile(counts.recovery_ms, 0.95):.0f} ms",
        "recovery max": f"{max(counts.recovery_ms, default=0.0):.0f} ms",
        "seconds per kill": f"{counts.seconds / max(1, counts.kills):.2f}",
        "seed": counts.seed,
        "machine": counts.machine,
    }


def page(counts: Counts) -> str:
    """docs/soak.md."""
    rows = "".join(f"| {name} | {value} |\n" for name, value in summary(counts).items())
    phases = "".join(f"| {name} | {number} |\n" for name, number in sorted(counts.phases.items()))
    return (
        "# Soak: the controller killed at random moments\n\n"
        "Made by `make soak` (`SANDSTONE_SOAK_KILLS`, default 500; `SANDSTONE_SOAK_SEED`; `SANDSTONE_SOAK_MINUTES`).\n"
        "Each kill is a SIGKILL of a `sandstone run` or `resume` at a moment drawn evenly from the time that the\n"
        "command takes; the next command (`status`) recovers, and is what the recovery times are of. After each kill\n"
        "the journal is compared with what the dead process had committed, with the disk, and with what is on the\n"
        "machine; each execution that completes in the end is compared with what its plan should have made. Kills at\n"
        "every *named* point, rather than a random one, are `tests/faults/test_failpoints.py`.\n\n"
        f"| | |\n|---|---|\n{rows}\n"
        f"What the process was doing when it died, as far as its journal tells:\n\n| | kills |\n|---|---|\n{phases}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak")
    parser.add_argument("--kills", type=int, default=int(os.environ.get("SANDSTONE_SOAK_KILLS", "500")))
    parser.add_argument("--seed", default=os.environ.get("SANDSTONE_SOAK_SEED", "sandstone"))
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("SANDSTONE_SOAK_MINUTES", "60")))
    parser.add_argument("--record", type=Path, default=Path(".build/soak.json"))
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    given.record.parent.mkdir(exist_ok=True)
    counts = soak(given.kills, given.seed, given.minutes, given.record)
    for name, value in summary(counts).items():
        sys.stdout.write(f"{name}: {value}\n")
    sys.stdout.write("".join(f"{fault}\n" for fault in counts.faults))
    if given.table:
        given.table.write_text(page(counts))
    return 0 if counts.clean and counts.kills >= given.kills else 1


if __name__ == "__main__":
    sys.exit(main())
