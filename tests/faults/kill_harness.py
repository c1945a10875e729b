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

STEPS: Final = 12
KILLS: Final = 3
"""At most so many kills in one round; then it is let through."""

Row = tuple[Any, ...]


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
MAY_BE_OPEN: Final = ("idle", "running", "paused", "completed")


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
        known: set[str] = {row[0] for row in self._executions()} if self.bench.store_id else set()
        running = self.bench.start(PLAN)
        execution_id = ""
        for _ in range(KILLS):
            self._kill(running)
            started = [row for row in self._executions() if row[0] not in known]
            committed = self._checkpoints(started[0][0]) if started else []
            self._next_command(started, committed)
            assert self.bench.files() == before, self.told
            if not started:
                running = self.bench.start(PLAN)
                continue
            execution_id = started[0][0]
            if self._state(execution_id) == "completed":
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

    def _next_command(self, started: list[Row], committed: list[Row]) -> None:
        """`status` puts in order what the kill left, and loses nothing that was committed."""
        shown = self.bench.shown("status")
        assert self.bench.left() == [], self.told
        for execution_id, state in started:
            assert state in MAY_BE_OPEN, self.told
            now = next(found for found in shown if found["execution_id"] == execution_id)
            assert now["state"] == ("completed" if state == "completed" else "paused"), self.told
            self._assert_consistent(execution_id)
            assert self._checkpoints(execution_id)[: len(committed)] == committed, self.told

    def _assert_consistent(self, execution_id: str) -> None:
        """The journal by itself: no gaps, no dangling names, states and events that agree."""
        rows = self.bench.rows
        sequences = [
            row[0] for row in rows("SELECT sequence FROM events WHERE execution_id=? ORDER BY 1", execution_id)
        ]
        assert sequences == list(range(1, len(sequences) + 1)), self.told
        assert rows("PRAGMA integrity_check") == [("ok",)], self.told
        points = {f"c{row[0]}": row for row in self._checkpoints(execution_id)}
        ((head,),) = rows("SELECT head FROM executions WHERE id=?", execution_id)
        assert head in points, self.told
        assert {point[3] for point in points.values() if point[3]} <= set(points), self.told
        steps = rows("SELECT id, state FROM steps WHERE execution_id=? ORDER BY idx", execution_id)
        assert {state for _, state in steps} <= {"pending", "succeeded"}, (self.told, steps)
        completed = [
            row[0]
            for row in rows(
                "SELECT step_id FROM events WHERE execution_id=? AND kind='step-completed' ORDER BY sequence",
                execution_id,
            )
        ]
        assert completed == [step for step, state in steps if state == "succeeded"], (self.told, completed)

    def _executions(self) -> list[Row]:
        if not (self.bench.home / "journal.db").exists():
            return []
        if not self.bench.rows("SELECT 1 FROM sqlite_master WHERE name='executions'"):
            return []
        return self.bench.rows("SELECT id, state FROM executions")

    def _state(self, execution_id: str) -> str:
        ((state,),) = self.bench.rows("SELECT state FROM executions WHERE id=?", execution_id)
        return str(state)

    def _checkpoints(self, execution_id: str) -> list[Row]:
        return self.bench.rows(
            "SELECT number, name, layer, parent FROM checkpoints WHERE execution_id=? ORDER BY number", execution_id
        )
