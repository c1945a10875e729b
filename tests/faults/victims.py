"""What dies in these tests: the process that drives an execution, behind one interface.

`RunVictim` is a `sandstone run` or `resume`; `sandstone serve` is in serve_victim.py. Their commands are forked by a
nursery (see there), so that a kill costs what the command does and not what Python's imports do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sandbox.failpoints import VARIABLE
from tests.e2e.command_bench import CommandBench, Done, Running, command_bench
from tests.faults.nursery import Nursery


class Victim(Protocol):
    """A process that drives executions and can be killed while it does.

    width: how many it drives at once. heard: of each execution the sequences of the events that a client was told, as
    they came; of a victim that tells nobody, nothing. failpoint: where the process is to kill itself, see
    `sandbox.failpoints`; "" for nowhere.
    """

    width: int
    heard: dict[str, list[int]]

    def start(self, plan: str, failpoint: str = "") -> Running:
        """A new execution of `plan` over the bench's project, driven by a process that is returned."""
        ...

    def resume(self, execution_id: str, failpoint: str = "") -> Running:
        """The paused execution, driven on by a process that is returned."""
        ...

    def drive(self, plan: str, going: Sequence[str], new: int) -> Running:
        """These paused executions and so many new ones of `plan`, driven by a process that is returned."""
        ...

    def recover(self) -> dict[str, str]:
        """The next process, which puts in order what the dead one left. Id -> state of every execution, as it tells."""
        ...

    def left(self) -> list[str]:
        """What is on the machine, after `recover`, that should not be."""
        ...

    def rest(self) -> None:
        """Nothing runs afterwards."""
        ...

    def close(self) -> None:
        """Of no use afterwards."""
        ...


@dataclass
class QuickBench(CommandBench):
    """A `CommandBench` whose commands a nursery forks."""

    nursery: Nursery | None = None

    def __call__(self, *arguments: str | Path, expect: int | None = 0, stdin: str = "", failpoint: str = "") -> Done:
        running = self.begin(*map(str, arguments), stdin=stdin, failpoint=failpoint)
        code, stdout = running.ended()
        if expect is not None:
            assert code == expect, f"{arguments}: {code}\n{stdout}\n{running.stderr.decode()}"
        return Done(arguments, code, stdout, running.stderr.decode())

    def begin(self, *arguments: str, stdin: str = "", failpoint: str = "") -> Running:
        assert self.nursery is not None
        environment = {**self.environment(), **({VARIABLE: failpoint} if failpoint else {})}
        child = self.nursery.spawn(arguments, environment, self.project)
        assert child.stdin is not None
        child.stdin.write(stdin.encode())
        child.stdin.close()
        child.stdin = None
        running = Running(child)
        self.begun.append(running)
        return running


class RunVictim:
    """A `sandstone run` of its own for each start, a `sandstone resume` for each resume; `status` puts in order."""

    width = 1

    def __init__(self, bench: QuickBench) -> None:
        self.bench = bench
        self.heard: dict[str, list[int]] = {}

    def start(self, plan: str, failpoint: str = "") -> Running:
        return self.bench.begin("run", "-", "--json", stdin=plan, failpoint=failpoint)

    def resume(self, execution_id: str, failpoint: str = "") -> Running:
        return self.bench.begin("resume", execution_id, "--json", failpoint=failpoint)

    def drive(self, plan: str, going: Sequence[str], new: int) -> Running:
        assert len(going) + new == 1, "a command drives one"
        return self.resume(going[0]) if going else self.start(plan)

    def recover(self) -> dict[str, str]:
        return {found["execution_id"]: found["state"] for found in self.bench.shown("status")}

    def left(self) -> list[str]:
        return self.bench.left()

    def rest(self) -> None:
        """Each command ends by itself."""

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def quick_bench(variables: Mapping[str, str] | None = None) -> Iterator[QuickBench]:
    """As `command_bench`, with a nursery and with these variables for the commands."""
    nursery = Nursery()
    try:
        with command_bench(lambda path: QuickBench(path, variables=variables or {}, nursery=nursery)) as bench:
            yield bench
    finally:
        nursery.close()
