"""What every benchmark needs: a throw-away place, an application over it, timed steps, peers, and summaries."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.app import Application, open_application
from engine.execution.engine import ExecutionEngine
from engine.execution.run import Run
from engine.journal.records import StepRecord
from engine.plan.model import Plan
from engine.plan.parse import parse_plan

ROOT: Final = Path(__file__).resolve().parents[1]
IMAGE: Final = "sandstone/runner:latest"
DISK: Final = "256MiB"
"""Disk limit of the plans measured here: it is allocated when an execution starts."""

Figures = dict[str, Any]


def summary(samples_ms: Sequence[float]) -> Figures:
    """Samples in milliseconds as the figures that are kept."""
    ordered = sorted(samples_ms)

    def quantile(share: float) -> float:
        return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]

    return {
        "n": len(ordered),
        "min": round(ordered[0], 3),
        "p50": round(quantile(0.5), 3),
        "p95": round(quantile(0.95), 3),
        "max": round(ordered[-1], 3),
    }


def timed(work: Callable[[], object]) -> float:
    """Milliseconds that `work` takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def call(*command: str | Path, **options: Any) -> str:
    """Run a program that must succeed; its standard output."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    return str(done.stdout)


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory on a real disk, removed afterwards."""
    parent = os.environ.get("SANDSTONE_BENCH_DIR", "/var/tmp")
    directory = Path(tempfile.mkdtemp(prefix="sandstone-bench-", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def make_project(directory: Path, files: int) -> Path:
    """`files` small files, a hundred to a directory, the directories nested."""
    for index in range(files):
        place = directory / f"p{index // 10_000}" / f"d{index // 100 % 100}"
        if index % 100 == 0:
            place.mkdir(parents=True, exist_ok=True)
        (place / f"f{index}.py").write_text(f"VALUE = {index}\n")
    os.sync()
    return directory


def plan_of(steps: Sequence[Figures], **more: Any) -> Plan:
    document = {"version": 1, "name": "benchmark", "sandbox": {"disk": DISK}, "steps": list(steps)} | more
    return parse_plan(json.dumps(document), "benchmark")


def command_step(name: str, shell: str) -> Figures:
    return {"id": name, "type": "command", "run": shell}


@dataclass
class TimedSteps:
    """Times every step that an application drives, from the row that says `running` to the row with its outcome.

    before: awaited ahead of each step, outside of its time.
    """

    application: Application
    before: Callable[[Run, int], Awaitable[None]] | None = None
    times: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        driver = engine_of(self.application)._supervisor._driver
        original = driver._step

        async def step(run: Run, index: int) -> None:
            if self.before is not None:
                await self.before(run, index)
            started = time.perf_counter()
            try:
                await original(run, index)
            finally:
                self.times[run.steps[index].id] = (time.perf_counter() - started) * 1e3

        driver._step = step  # type: ignore[method-assign]


def engine_of(application: Application) -> ExecutionEngine:
    """The engine of this process: no controller is asked by a benchmark."""
    assert isinstance(application.engine, ExecutionEngine)
    return application.engine


async def run_plan(application: Application, plan: Plan, project: Path) -> tuple[str, list[StepRecord]]:
    """Run a plan that must complete: its execution's id and steps."""
    record = await engine_of(application).execute_plan(plan, project)
    steps = application.journal.steps(record.id)
    if record.state.value != "completed":
        failed = next((step for step in steps if step.detail), None)
        raise RuntimeError(f"the benchmark's plan {record.state.value}: {record.reason} {failed}")
    return record.id, steps


async def pool_ready(application: Application, quiet_s: float = 0.2) -> None:
    """Wait until a container waits, and what was thrown away before is gone."""
    pool = application.provider.pool
    while not pool.waiting.total():
        await pool.settled()
        await asyncio.sleep(0.01)
    await pool.settled()
    await application.provider._removals.drain()
    await asyncio.sleep(quiet_s)


@asynccontextmanager
async def application_in(directory: Path) -> AsyncIterator[Application]:
    async with open_application(directory / "home", engine=True) as application:
        yield application


def resident_mib() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def log(text: str) -> None:
    import sys

    print(text, file=sys.stderr, flush=True)
