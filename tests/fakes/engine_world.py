"""A whole engine without Docker and without mounts: scripted sandboxes over plain copies, real journal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from engine.clock import Clock, SystemClock
from engine.events.bus import EventBus
from engine.events.types import Event, OutputChunk
from engine.execution.attempt import StepServices
from engine.execution.baseline import BaseRecorder
from engine.execution.driver import Driver, DriverServices
from engine.execution.engine import EngineServices, ExecutionEngine
from engine.execution.environments import Environments
from engine.execution.forking import Forker, ForkerServices
from engine.execution.locks import ExecutionLocks
from engine.execution.logs import LogStore
from engine.execution.opening import ExecutionOpener, OpenerServices
from engine.execution.output import OutputKeeper
from engine.execution.pausing import PauseKeeper
from engine.execution.queue import ExecutionQueue
from engine.execution.recording import RunRecorder
from engine.execution.recovery import Recovery
from engine.execution.rollback import RollbackService
from engine.execution.step import StepExecutor
from engine.execution.supervision import RunSupervisor, SupervisorServices
from engine.execution.volumes import ExecutionVolumes
from engine.execution.writer import JournalWriter
from engine.journal.database import Database
from engine.journal.journal import Journal
from engine.plan.model import Environment, Plan
from engine.plan.parse import parse_plan
from engine.validation.service import ValidationService
from sandbox.memory.provider import InMemorySandboxProvider, Script, Scripted, script_of
from sandbox.sandbox import SandboxProvider
from sandbox.workspace.copying import CopyingLayerStore
from sandbox.workspace.mounting import Mounter
from sandbox.workspace.overlay import OverlayLayerStore
from sandbox.workspace.register import Register

IMAGE = "sha256:" + "0" * 64
_PATIENCE = 30
"""Seconds that a test waits for what must come."""


class FakeEnvironments:
    """One image for everything; `failure` is what a set-up comes to, if anything."""

    failure: Exception | None = None

    async def resolve(self, environment: Environment) -> str:
        return IMAGE

    async def prepare(
        self, environment: Environment, image_id: str, workspace: Path, hidden: Callable[[bytes], bool]
    ) -> str:
        if self.failure is not None:
            raise self.failure
        return "sha256:" + "1" * 64


class SlowEnvironments(FakeEnvironments):
    """A set-up that goes on until `done`; `begun` says that it does. stubborn: a cancel does not end it."""

    def __init__(self, stubborn: bool = False) -> None:
        self.begun = asyncio.Event()
        self.done = asyncio.Event()
        self.cancelled = asyncio.Event()
        self._stubborn = stubborn

    async def prepare(
        self, environment: Environment, image_id: str, workspace: Path, hidden: Callable[[bytes], bool]
    ) -> str:
        self.begun.set()
        try:
            await self.done.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            if self._stubborn:
                await self.done.wait()
            raise
        return await super().prepare(environment, image_id, workspace, hidden)


async def until(true: Callable[[], bool]) -> None:
    """Let the others work until it is true."""
    async with asyncio.timeout(_PATIENCE):
        while not true():  # noqa: ASYNC110 - it is nobody's event
            await asyncio.sleep(0)


class Aside:
    """Calls an object's methods in another thread, so that a test may look without blocking the loop itself."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._thread = ThreadPoolExecutor(1)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return (
            (lambda *args, **named: self._thread.submit(found, *args, **named).result()) if callable(found) else found
        )


@dataclass
class World:
    """The engine and what it works with."""

    home: Path
    project: Path
    engine: ExecutionEngine
    queue: ExecutionQueue
    provider: InMemorySandboxProvider
    journal: Any
    store: Any
    locks: ExecutionLocks
    logs: LogStore
    clock: Clock
    environments: FakeEnvironments
    commands: dict[str | tuple[str, ...], Scripted] = field(default_factory=dict)
    writer: JournalWriter | None = None
    plain_store: CopyingLayerStore | None = None

    async def recovered(self) -> list[str]:
        """What the next process puts in order."""
        return await asyncio.to_thread(Recovery(self.journal, self.store, self.locks, self.logs).all)

    def kinds(self, execution_id: str) -> list[str]:
        return [event.kind.value for event in self.journal.events(execution_id)]

    def states(self, execution_id: str) -> list[str]:
        return [step.state.value for step in self.journal.steps(execution_id)]

    def layers(self, execution_id: str) -> int:
        """How many layers of any kind the execution has."""
        return len([layer for layer in self.store.walk() if layer.volume == execution_id])

    def content(self, execution_id: str, path: str) -> bytes | None:
        """What head has at `path`, as far as layers changed it."""
        record = self.journal.execution(execution_id)
        layer = self.journal.checkpoint(execution_id, record.head).layer
        if layer is None:
            return None
        self.store.open_volume(execution_id)
        try:
            manifest = self.store.merged_manifest(layer)
            if manifest.get(path.encode()) is None:
                return None
            with open(self.store.open_file(layer, path.encode()), "rb") as file:
                return file.read()
        finally:
            self.store.close_volume(execution_id)


def plan_of(steps: list[dict[str, Any]], **header: Any) -> Plan:
    return parse_plan(json.dumps({"version": 1, "name": "test", "steps": steps, **header}), "plan.json")


class Listening:
    """What is heard of an execution from now on; `until` returns when it is what a test waits for."""

    def __init__(self, engine: ExecutionEngine, execution_id: str | None = None) -> None:
        self._subscription = engine.bus.subscribe(execution_id)
        self.heard: list[Event | OutputChunk] = []

    async def until(self, kind: str, step_id: str | None = None, execution_id: str | None = None) -> Event:
        """The next event of this kind."""
        return await asyncio.wait_for(self._next(kind, step_id, execution_id), _PATIENCE)

    async def _next(self, kind: str, step_id: str | None, execution_id: str | None) -> Event:
        async with aclosing(aiter(self._subscription)) as items:
            async for item in items:
                self.heard.append(item)
                if not isinstance(item, Event) or item.kind.value != kind:
                    continue
                if step_id in (None, item.step_id) and execution_id in (None, item.execution_id):
                    return item
        raise AssertionError(f"no {kind}")

    async def output(self) -> OutputChunk:
        """The next output."""
        return await asyncio.wait_for(self._output(), _PATIENCE)

    async def _output(self) -> OutputChunk:
        async with aclosing(aiter(self._subscription)) as items:
            async for item in items:
                self.heard.append(item)
                if isinstance(item, OutputChunk):
                    return item
        raise AssertionError("no output")


@asynccontextmanager
async def world(
    directory: Path,
    script: Script | None = None,
    clock: Clock | None = None,
    mounter: Mounter | None = None,
    process: str = "",
    *,
    environments: Environments | None = None,
    provided: Callable[[SandboxProvider], SandboxProvider] = lambda provider: provider,
    max_running: int = 8,
    max_queued: int = 1000,
) -> AsyncIterator[World]:
    """The engine for the block; `world.commands` is the script unless one is given.

    With a mounter over overlays, in place of plain copies: on a disk, as root. process: tells one that uses the
    directory at the same time from others. provided: makes what the engine gets of the scripted provider.
    """
    home, project = directory / "home", directory / "project"
    home.mkdir(exist_ok=True)
    project.mkdir(exist_ok=True)
    (project / "gcd.py").write_text("def gcd(a, b):\n    return a - b\n")
    (project / "old.txt").write_text("old\n")
    commands: dict[str | tuple[str, ...], Scripted] = {}
    the_clock = clock or SystemClock()
    database = await asyncio.to_thread(Database, home / "journal.db")
    journal, bus = Journal(database, the_clock), EventBus()
    store = CopyingLayerStore(home) if mounter is None else _overlay(home, mounter)
    slots = Path(mkdtemp(prefix="slots-", dir=home)) if mounter is None else home / "mnt" / "slots" / process
    provider = InMemorySandboxProvider(store, script or script_of(commands), slots, [IMAGE, "sha256:" + "1" * 64])
    locks = await asyncio.to_thread(ExecutionLocks, home / "locks")
    logs = LogStore(home / "logs")
    writer = JournalWriter(journal, bus, asyncio.to_thread)
    rollback = RollbackService(writer)
    recorder = RunRecorder(writer, BaseRecorder(store), the_clock)
    queue = ExecutionQueue(max_running, max_queued)
    pauses = PauseKeeper(recorder, queue, provider)
    volumes = ExecutionVolumes(store, asyncio.to_thread)
    environments = environments or FakeEnvironments()
    recovery = Recovery(journal, store, locks, logs)
    opener = ExecutionOpener(
        OpenerServices(writer, store, volumes, provider, environments, queue, locks, the_clock, "lease", recovery)
    )
    forker = Forker(ForkerServices(writer, store, volumes, environments, locks, logs, the_clock, lease="lease"))
    services = StepServices(store, provided(provider), ValidationService(the_clock), asyncio.to_thread)
    driver = Driver(
        DriverServices(
            writer=writer,
            recorder=recorder,
            output=OutputKeeper(writer, logs),
            store=store,
            volumes=volumes,
            provider=provider,
            executor=StepExecutor(services, the_clock),
            rollback=rollback,
            clock=the_clock,
        )
    )
    supervisor = RunSupervisor(SupervisorServices(writer, driver, opener, environments, pauses, queue, recovery))
    engine = ExecutionEngine(
        EngineServices(writer, opener, forker, supervisor, pauses, queue, rollback, locks, the_clock, recovery)
    )
    try:
        yield World(
            home,
            project,
            engine,
            queue,
            provider,
            Aside(journal),
            Aside(store),
            locks,
            logs,
            the_clock,
            environments,
            commands,
            writer,
            store,
        )
    finally:
        await engine.close()
        await provider.close()
        await asyncio.to_thread(store.close)
        await asyncio.to_thread(database.close)


def _overlay(home: Path, mounter: Mounter) -> OverlayLayerStore:
    return OverlayLayerStore(home, Register(home / "journal.db", durable=False), mounter)


__all__ = ["IMAGE", "Listening", "Scripted", "SlowEnvironments", "World", "plan_of", "until", "world"]
