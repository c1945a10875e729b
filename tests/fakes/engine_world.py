"""A whole engine without Docker and without mounts: scripted sandboxes over plain copies, real journal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.clock import Clock, SystemClock
from engine.events.bus import EventBus
from engine.execution.attempt import StepServices
from engine.execution.baseline import BaseRecorder
from engine.execution.driver import Driver, DriverServices
from engine.execution.engine import EngineServices, ExecutionEngine
from engine.execution.forking import Forker, ForkerServices
from engine.execution.locks import ExecutionLocks
from engine.execution.logs import LogStore
from engine.execution.opening import ExecutionOpener, OpenerServices
from engine.execution.output import OutputKeeper
from engine.execution.recording import RunRecorder
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
from sandbox.workspace.copying import CopyingLayerStore
from sandbox.workspace.mounting import Mounter
from sandbox.workspace.overlay import OverlayLayerStore
from sandbox.workspace.register import Register

IMAGE = "sha256:" + "0" * 64


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
    journal: Any
    store: Any
    locks: ExecutionLocks
    logs: LogStore
    clock: Clock
    environments: FakeEnvironments
    commands: dict[str | tuple[str, ...], Scripted] = field(default_factory=dict)
    writer: JournalWriter | None = None
    plain_store: CopyingLayerStore | None = None

    def kinds(self, execution_id: str) -> list[str]:
        return [event.kind.value for event in self.journal.events(execution_id)]

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


@asynccontextmanager
async def world(
    directory: Path,
    script: Script | None = None,
    clock: Clock | None = None,
    mounter: Mounter | None = None,
    process: str = "",
) -> AsyncIterator[World]:
    """The engine for the block; `world.commands` is the script unless one is given.

    With a mounter over overlays, in place of plain copies: on a disk, as root. process: tells one that uses the
    directory at the same time from others.
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
    slots = (home / "slots" if mounter is None else home / "mnt" / "slots") / process
    provider = InMemorySandboxProvider(store, script or script_of(commands), slots, [IMAGE, "sha256:" + "1" * 64])
    locks = await asyncio.to_thread(ExecutionLocks, home / "locks")
    logs = LogStore(home / "logs")
    writer = JournalWriter(journal, bus, asyncio.to_thread)
    rollback = RollbackService(writer)
    recorder = RunRecorder(writer, BaseRecorder(store), the_clock)
    volumes = ExecutionVolumes(store, asyncio.to_thread)
    environments = FakeEnvironments()
    opener = ExecutionOpener(OpenerServices(writer, store, volumes, environments, locks, the_clock, lease="lease"))
    forker = Forker(ForkerServices(writer, store, volumes, environments, locks, logs, the_clock, lease="lease"))
    services = StepServices(store, provider, ValidationService(the_clock), asyncio.to_thread)
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
    supervisor = RunSupervisor(SupervisorServices(writer, recorder, driver, opener, environments))
    engine = ExecutionEngine(EngineServices(writer, opener, forker, supervisor, rollback, locks, the_clock))
    try:
        yield World(
            home,
            project,
            engine,
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


__all__ = ["IMAGE", "Scripted", "World", "plan_of", "world"]
