"""Kills a running `sandstone` at a random moment and looks at what that leaves.

One round: start a plan of twelve steps (or resume what an earlier kill left), kill the process with SIGKILL at a
moment drawn by lot, read the journal as the dead process left it, run the next command (`status`), and compare. A round
ends when `resume` got through.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any, Final

from tests.e2e.command_bench import CommandBench, Running
from tests.faults.consistency import MAY_BE_OPEN, assert_in_order, checkpoints, executions

STEPS: Final = 12
KILLS: Final = 3
"""At most so many kills in one round; then it is let through."""


def _steps() -> str:
    lines = [
        '  - {id: s1, type: file_create, path: log.txt, content: "s1\\n"}',
        "  - {id: s2, type: command, run: 'echo s2 >> log.txt; mkdir -p d/e; seq 2000 > d/e/f; sleep 0.1'}",
        "  - {id: s3, type: file_edit, path: log.txt, insert: {line: 3, text: s3}}",
        "  - {id: s4, type: validation, checks: [syntax]}",
        "  - {id: s5, type: file_edit, path: kept.txt, replace: {search: kept, with: changed}}",
        "  - {id: s6, type: command, run: 'echo s6 >> log.txt; rm -r d/e; head -c 2M /dev/urandom > blob; sleep 0.1'}",
        "  - {id: s7, type: file_delete, path: old, recursive: true}",
        "  - {id: s8, type: command, run: 'echo s8 >> log.txt; rm blob; for i in $(seq 200); do echo $i > d/$i; done'}",
        "  - {id: s9, type: file_create, path: old, content: 'a file now'}",
        "  - {id: s10, type: command, run: 'echo s10 >> log.txt; chmod 700 d; ln -s log.txt link; sleep 0.1'}",
        "  - {id: s11, type: test, run: 'test -f old'}",
        "  - {id: s12, type: command, run: 'echo s12 >> log.txt; cat log.txt'}",
    ]
    assert len(lines) == STEPS
    return "\n".join(lines) + "\n"


PLAN: Final = f"version: 1\nname: killed\nsandbox: {{disk: 48MiB, memory: 256MiB}}\nsteps:\n{_steps()}"
LOG: Final = "s1\ns2\ns3\ns6\ns8\ns10\ns12\n"


def make_project(bench: CommandBench) -> None:
    (bench.project / "kept.txt").write_text("kept\n")
    (bench.project / "old/inner").mkdir(parents=True)
    (bench.project / "old/inner/file").write_text("old\n")
    (bench.project / "fine.py").write_text("VALUE = 1\n")


@dataclass
class KillRound:
    """One execution, killed up to KILLS times. draw: decides the moments; the same seed draws the same."""

    bench: CommandBench
    draw: random.Random
    told: list[str] = field(default_factory=list)
    """What was done, for the message of a failed assertion."""

    def play(self) -> Any:
        """Until it completed; its last outcome."""
        before = self.bench.files()
        known = executions(self.bench)
        running = self.bench.start(PLAN)
        for _ in range(KILLS):
            self._kill(running)
            started = {row: state for row, state in executions(self.bench).items() if row not in known}
            self._next_command(started)
            assert self.bench.files() == before, self.told
            if not started:
                running = self.bench.start(PLAN)
                continue
            (execution_id,) = started
            if executions(self.bench)[execution_id] == "completed":
                return self.bench.shown("status", execution_id)
            running = self.bench.begin("resume", execution_id, "--json")
        code, stdout = running.ended()
        assert code == 0, (self.told, stdout, running.stderr)
        outcome = json.loads(stdout)
        assert outcome["state"] == "completed", self.told
        assert self.bench.files() == before, self.told
        return outcome

    def _kill(self, running: Running) -> None:
        self.told.append(f"killed {running.at_a_moment(self.draw, STEPS)}")
        running.process.kill()
        running.ended()

    def _next_command(self, started: dict[str, str]) -> None:
        """`status` puts in order what the kill left, and loses nothing that was committed."""
        committed = {execution_id: checkpoints(self.bench, execution_id) for execution_id in started}
        shown = {found["execution_id"]: found["state"] for found in self.bench.shown("status")}
        assert_in_order(self.bench, committed, self.told)
        for execution_id, state in started.items():
            assert state in MAY_BE_OPEN, self.told
            assert shown[execution_id] == ("completed" if state == "completed" else "paused"), self.told
