"""The executions that this process drives: one task each, from its start to its end.

A run that could not go on for a reason of its machine (the store, the engine) ends as failed here, whatever happened.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from engine.errors import EngineError
from engine.events.types import EventKind
from engine.execution.control import StoppedError
from engine.execution.driver import Driver
from engine.execution.environments import Environments
from engine.execution.opening import ExecutionOpener
from engine.execution.pausing import PauseKeeper
from engine.execution.queue import ExecutionQueue, Place
from engine.execution.recovery import Recovery
from engine.execution.run import Run
from engine.execution.writer import JournalWriter
from engine.plan.model import Environment
from sandbox.errors import HostDiskFullError, SandboxError, StoreBusyError
from sandbox.workspace.manifest import Manifest

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SupervisorServices:
    """What the supervisor works with; made by the composition root."""

    writer: JournalWriter
    driver: Driver
    opener: ExecutionOpener
    environments: Environments
    pauses: PauseKeeper
    queue: ExecutionQueue
    recovery: Recovery


class RunSupervisor:
    """Keeps the tasks. Lives on one event loop."""

    def __init__(self, services: SupervisorServices) -> None:
        self._writer = services.writer
        self._driver = services.driver
        self._opener = services.opener
        self._environments = services.environments
        self._pauses = services.pauses
        self._queue = services.queue
        self._recovery = services.recovery
        self._runs: dict[str, Run] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._orphans: set[asyncio.Future[None]] = set()

    def __iter__(self) -> Iterator[Run]:
        return iter(tuple(self._runs.values()))

    def find(self, execution_id: str) -> Run | None:
        """The run, when this process drives it."""
        return self._runs.get(execution_id)

    def launch(self, run: Run, place: Place | None = None) -> None:
        """Drive the run in a task of its own; returns at once.

        place: in the queue, of a run that was never driven; without it the run waits to be resumed.
        """
        self._pauses.adopt(run)
        self._runs[run.id] = run
        task = asyncio.create_task(self._drive(run, place), name=f"execution {run.id}")
        self._tasks[run.id] = task
        task.add_done_callback(lambda ended: self._over(run.id, ended))

    def _over(self, execution_id: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(execution_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.info("execution %s: %s", execution_id, error)  # who waits for it gets it, too

    async def wait(self, execution_id: str) -> None:
        """Return when this process does not drive the execution (any more)."""
        task = self._tasks.get(execution_id)
        if task is not None:
            await asyncio.shield(task)

    async def wait_all(self) -> None:
        """Return when nothing is driven any more and nothing of it is left."""
        if self._tasks:
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._pauses.drain()
        if self._orphans:
            await asyncio.wait(self._orphans)

    async def _drive(self, run: Run, place: Place | None) -> None:
        """The task of one execution: open, drive, close."""
        try:
            try:
                if place is not None:
                    await self._pauses.begin(run, place)
                if await self._driver.may_go_on(run):
                    await self._open(run)
                    await self._driver.drive(run)
            except (SandboxError, EngineError, OSError) as error:
                if not _is_of_the_host(error):
                    await self._driver.fail(run, reason_of(error))
                    return
                await self._interrupt(run, error)
                raise
            except Exception as error:
                await self._driver.fail(run, f"a fault of sandstone itself: {type(error).__name__}: {error}")
                raise
        finally:
            self._queue.leave(run.id)
            self._keep(run.control.orphans)
            try:
                await self._opener.close(run)
            finally:
                self._runs.pop(run.id, None)
                run.ended.set()

    async def _interrupt(self, run: Run, error: Exception) -> None:
        """Leave the execution paused: the plan is not at fault, and when the host has room again it can be resumed.

        What the last transaction did is not taken for granted: the journal is read anew. When even this cannot be
        written the execution stays `running` without an owner, and whoever comes next finds it so.
        """
        self._driver.forget(run)
        try:
            events = await self._writer.blocking(self._recovery.one, run.id, f"interrupted: {reason_of(error)}")
        except (SandboxError, OSError) as again:
            _LOG.warning("execution %s could not be paused: %s", run.id, again)
            return
        for event in events:
            self._writer.bus.publish(event)

    def _keep(self, orphans: set[asyncio.Future[None]]) -> None:
        for orphan in tuple(orphans):
            self._orphans.add(orphan)
            orphan.add_done_callback(self._orphans.discard)

    async def _open(self, run: Run) -> None:
        """What a run needs before its first step here: its volume, and its environment set up."""
        await self._opener.open_volume(run)
        environment = run.context.plan.environment
        if environment.setup and not run.control.ending:
            run.setting_up = True
            try:
                await self._prepare_environment(run, environment)
            except StoppedError:
                return  # the driver looks why
            finally:
                run.setting_up = False

    async def _prepare_environment(self, run: Run, environment: Environment) -> None:
        await self._writer.write(
            lambda tx: tx.emit(run.id, EventKind.ENVIRONMENT_PREPARING, None, commands=len(environment.setup))
        )
        base = await run.control.unless_stopped(self._environments.resolve(environment))
        mask = await self._writer.blocking(run.context.hide.mask, run.context.plan.sandbox.hide) or Manifest()
        preparing = self._environments.prepare(environment, base, run.context.workspace, mask.hides)
        image_id = await run.control.unless_stopped(preparing)
        await self._writer.write(lambda tx: tx.set_execution(run.id, image_id=image_id))
        run.context = replace(run.context, image_id=image_id)


def reason_of(error: Exception) -> str:
    """Why an execution could not go on, for people: what the error says of itself. Pure."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error) or type(error).__name__


def _is_of_the_host(error: Exception) -> bool:
    """Whether what stopped an execution is the want of something on the host that can be had again."""
    if isinstance(error, HostDiskFullError | StoreBusyError):
        return True
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
