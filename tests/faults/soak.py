"""Kills the controller at random moments, many times, and counts what that loses: `make soak`.

    python -m tests.faults.soak [--victim serve|run] [--kills N] [--seed TEXT] [--minutes M] [--record FILE]
        [--table FILE]

One kill: have the victim drive what is open and something new, SIGKILL it at a moment drawn by lot from the time that
this takes, look at the journal as the dead process left it, have the next process put things in order (timed), and
compare journal, disk and machine. Each execution that gets through is compared with what it should have made. All is
written to the record after every kill, so that a soak that is stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from pathlib import Path
from typing import Final

from engine.errors import EngineError
from tests.e2e.command_bench import Running
from tests.faults.consistency import Row, assert_consistent, assert_disk_agrees, checkpoints, executions
from tests.faults.serve_victim import ServeVictim
from tests.faults.soak_report import TITLES, Counts, machine, page, summary
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
REST_EVERY: Final = 4
"""Kills between two processes that are stopped in order before the next kill; the next one is killed as it starts or
as it works, like it falls."""


class Soak:
    """Kills until told to stop. victim: what is killed; bench: where it runs."""

    def __init__(self, bench: QuickBench, victim: Victim, counts: Counts) -> None:
        self.bench = bench
        self.victim = victim
        self.counts = counts
        self._judged: set[str] = set()
        self._typical_s = 1.5 * victim.width
        self._project = bench.files()

    @property
    def _open(self) -> list[str]:
        """What is not known to have completed."""
        return [key for key in executions(self.bench) if key not in self._judged]

    def kill_once(self) -> None:
        """One kill and all that is looked at afterwards."""
        counts = self.counts
        # A draw that depends on the number alone goes on after an interruption as if there had been none.
        draw = random.Random(f"{counts.seed} {counts.kills}")
        began = time.monotonic()
        going = self._open
        running = self.victim.drive(PLAN, going, self.victim.width - len(going))
        running.for_another(draw.uniform(0, self._typical_s))
        running.process.kill()
        code = self._ended(running)
        with self.bench.one_copy():
            states = executions(self.bench)
            phase = self._phase(states, code)
            committed = {key: checkpoints(self.bench, key) for key in states}
        counts.phases[phase] = counts.phases.get(phase, 0) + 1
        recovery = time.monotonic()
        shown = self.victim.recover()
        counts.recovery_ms.append(round((time.monotonic() - recovery) * 1e3, 1))
        counts.kills += 1
        with self.bench.one_copy():
            self._compare(states, shown, committed)
        for key in self._open:
            if shown.get(key) == "completed":
                self._judge(key)
        if counts.kills % GC_EVERY == 0:
            self.finish()
            self.bench("gc", "--all")
        if counts.kills % REST_EVERY == 0:
            self.rest()
        counts.seconds += time.monotonic() - began

    def _ended(self, running: Running) -> int:
        try:
            return running.ended()[0]
        except EngineError as error:
            self.counts.fault("disagreements", f"a request was refused: {error!r}")
            return -1

    def _phase(self, states: dict[str, str], code: int) -> str:
        """What the process was doing, as far as the journal and its exit tell."""
        driven = {key: state for key, state in states.items() if key not in self._judged}
        if code >= 0:
            return "had ended by itself"
        if not driven:
            return "starting"
        if set(driven.values()) == {"completed"}:
            return "closing" if self.victim.width == 1 else "all had completed"
        if "running" not in driven.values():
            return "opening"
        types = [
            str(row[0])
            for key in driven
            for row in self.bench.rows("SELECT type FROM steps WHERE execution_id=? AND state='running'", key)
        ]
        if len(types) > 1:
            return f"in {len(types)} steps at once"
        return f"in a step: {types[0]}" if types else "between steps"

    def _compare(self, states: dict[str, str], shown: dict[str, str], committed: dict[str, list[Row]]) -> None:
        fault = self.counts.fault
        left = self.victim.left()
        if left:
            fault("leaks", f"left {left}")
        for key, rows in committed.items():
            if checkpoints(self.bench, key)[: len(rows)] != rows:
                fault("lost_checkpoints", f"{key} had {rows}")
        for key, state in states.items():
            if shown.get(key) != ("completed" if state == "completed" else "paused"):
                fault("disagreements", f"{key} was {state} and is {shown.get(key)}")
        try:
            for key in states:
                assert_consistent(self.bench, key, "journal")
            assert_disk_agrees(self.bench, "disk")
        except AssertionError as error:
            fault("disagreements", repr(error))
        if self.bench.files() != self._project:
            fault("disagreements", "the project was touched")
        if len(self._open) > self.victim.width:
            fault("made_twice", f"{len(self._open)} executions for {self.victim.width} requests")
        for key in states:
            self._listen(key)

    def _listen(self, execution_id: str) -> None:
        """What the client was told is what the journal has."""
        heard = self.victim.heard.get(execution_id, [])
        ((last,),) = self.bench.rows("SELECT MAX(sequence) FROM events WHERE execution_id=?", execution_id)
        if heard != list(range(1, len(heard) + 1)) or len(heard) > last:
            self.counts.fault("misheard", f"{execution_id}: {heard}, the journal has {last}")

    def _judge(self, execution_id: str) -> None:
        """It is called completed: is it?"""
        steps = self.bench.shown("status", execution_id)["steps"]
        changes = {found["path"]: found["change"] for found in self.bench.shown("diff", execution_id)["changes"]}
        if steps[-1]["stdout_tail"] != LOG or changes != CHANGES:
            self.counts.fault("falsely_passed", f"{execution_id}: {steps[-1]['stdout_tail']!r}, {changes}")
        self.counts.completed += 1
        self._judged.add(execution_id)

    def rest(self) -> None:
        """Stop what stands by in order: that leaves nothing either."""
        self.victim.rest()
        left = self.bench.left()
        if left:
            self.counts.fault("leaks", f"left by an orderly stop {left}")

    def finish(self) -> None:
        """Let what is open get through, and judge it."""
        going = self._open
        if not going:
            return
        began = time.monotonic()
        running = self.victim.drive(PLAN, going, 0)
        code = self._ended(running)
        self._typical_s = 0.5 * self._typical_s + 0.5 * (time.monotonic() - began)
        for key, state in executions(self.bench).items():
            if key in self._judged:
                continue
            if code != 0 or state != "completed":
                self.counts.fault(
                    "disagreements", f"{key} is {state}, its process ended with {code}: {running.stderr!r}"
                )
                self._judged.add(key)
                continue
            self._listen(key)
            self._judge(key)


def make_project(bench: QuickBench) -> None:
    (bench.project / "kept").write_text("kept\n")
    (bench.project / "old").mkdir()
    (bench.project / "old/file").write_text("old\n")


def soak(victim: str, kills: int, seed: str, minutes: float, record: Path | None) -> Counts:
    """Kill until there were `kills` of them (those of the record counted) or the time is over. victim: serve or run."""
    counts = Counts.read(record, seed, victim) if record else Counts(seed, victim)
    counts.machine = machine()
    deadline = time.monotonic() + minutes * 60
    with quick_bench() as bench:
        make_project(bench)
        killed: Victim = ServeVictim(bench) if victim == "serve" else RunVictim(bench)
        try:
            this = Soak(bench, killed, counts)
            while counts.kills < kills and time.monotonic() < deadline:
                this.kill_once()
                if record:
                    counts.write(record)
            this.finish()
            this.rest()
            if record:
                counts.write(record)
        finally:
            killed.close()
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak")
    parser.add_argument("--victim", choices=TITLES, default=os.environ.get("SANDSTONE_SOAK_VICTIM", "serve"))
    parser.add_argument("--kills", type=int, default=int(os.environ.get("SANDSTONE_SOAK_KILLS", "500")))
    parser.add_argument("--seed", default=os.environ.get("SANDSTONE_SOAK_SEED", "sandstone"))
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("SANDSTONE_SOAK_MINUTES", "60")))
    parser.add_argument("--record", type=Path, help="default: .build/soak-VICTIM.json")
    parser.add_argument("--table", type=Path, help="the page that the victim's section is written into")
    given = parser.parse_args()
    record = given.record or Path(f".build/soak-{given.victim}.json")
    record.parent.mkdir(exist_ok=True)
    counts = soak(given.victim, given.kills, given.seed, given.minutes, record)
    for name, value in summary(counts).items():
        sys.stdout.write(f"{name}: {value}\n")
    sys.stdout.write("".join(f"{fault}\n" for fault in counts.faults))
    if given.table:
        given.table.write_text(page(counts, given.table.read_text() if given.table.exists() else ""))
    return 0 if counts.clean and counts.kills >= given.kills else 1


if __name__ == "__main__":
    sys.exit(main())
