"""What dies in these tests: the process that drives an execution, behind one interface.

`RunVictim` is a `sandstone run` or `resume`. Its commands are forked by a nursery (see there), so that a kill costs
what the command does and not what Python's imports do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sandbox.failpoints import VARIABLE
from tests.e2e.command_bench import CommandBench, Done, Running, command_bench
from tests.faults.nursery import Nursery


class Victim(Protocol):
    """A process that drives executions and can be killed while it does.

    failpoint: where it is to kill itself, see `sandbox.failpoints`; "" for nowhere.
    """

    def start(self, plan: str, failpoint: str = "") -> Running:
        """A new execution of `plan` over the bench's project, driven by a process that is returned."""
        ...

    def resume(self, execution_id: str, failpoint: str = "") -> Running:
        """The paused execution, driven on by a process that is returned."""
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


@dataclass
class RunVictim:
    """A `sandstone run` of its own for each start, a `sandstone resume` for each resume."""

    bench: QuickBench

    def start(self, plan: str, failpoint: str = "") -> Running:
        return self.bench.begin("run", "-", "--json", stdin=plan, failpoint=failpoint)

    def resume(self, execution_id: str, failpoint: str = "") -> Running:
        return self.bench.begin("resume", execution_id, "--json", failpoint=failpoint)


@contextmanager
def quick_bench(variables: Mapping[str, str] | None = None) -> Iterator[QuickBench]:
    """As `command_bench`, with a nursery and with these variables for the commands."""
    nursery = Nursery()
    try:
        with command_bench(lambda path: QuickBench(path, variables=variables or {}, nursery=nursery)) as bench:
            yield bench
    finally:
        nursery.close()
