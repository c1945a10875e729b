"""The composition root: the only place that names implementations and puts them together.

Opening the application first puts in order what dead processes left: interrupted applies, their containers,
mounts and slots, and executions that say `running` but that nobody drives.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from engine.checkpoints.results import Results
from engine.clock import Clock, SystemClock
from engine.config import EngineConfig, state_directory
from engine.errors import NotFoundError
from engine.events.bus import EventBus
from engine.execution.attempt import Blocking, Looker, StepServices
from engine.execution.baseline import BaseRecorder
from engine.execution.driver import Driver, DriverServices
from engine.execution.engine import EngineServices, ExecutionEngine
from engine.execution.forking import Forker, ForkerServices
from engine.execution.garbage import GarbageCollector, GarbageReport
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
from engine.execution.unowned import remove_unowned
from engine.execution.verbs import Verbs
from engine.execution.volumes import ExecutionVolumes
from engine.execution.writer import JournalWriter
from engine.journal.database import Database
from engine.journal.journal import Journal
from engine.plan.model import Environment, FindingPolicy
from sandbox.docker.image import RUNNER, ImageBuilder
from sandbox.docker.image_api import ImageApi
from sandbox.docker.pool import PoolBounds
from sandbox.docker.provider import DockerSandboxProvider
from sandbox.docker.reaper import reap
from sandbox.errors import SandboxError, SandboxUnavailableError
from sandbox.spec import SandboxSpec
from sandbox.workspace.identity import identify
from sandbox.workspace.leases import Lease, dead_leases, is_live
from sandbox.workspace.mounting import Mounter
from sandbox.workspace.mounts import KernelMounter
from sandbox.workspace.overlay import OverlayLayerStore
from sandbox.workspace.register import Register

if TYPE_CHECKING:
    from engine.rpc.address import UnixAddress
    from engine.rpc.remote import RemoteResults
    from engine.validation.report import ValidationReport
    from sandbox.docker.helper import HelperContainer
    from sandbox.host import Probe

_LOG: Final = logging.getLogger(__name__)
_AT_THE_READY: Final = "at the ready"
"""Who expects the sandbox that waits while no plan runs."""
_RECENT_KINDS: Final = 2
BELLS: Final = "reach"
"""Directory of the doorbells of processes."""
KEPT_RESULTS: Final = "checked"
"""Directory of the results of checks."""
_WORKERS: Final = 8
_OTHER_FILES: Final = 1024
ALL: Final = 1_000_000
"""More executions than a journal has."""

T = TypeVar("T")


class _Environments:
    """`Environments` over Docker images."""

    def __init__(self, images: ImageBuilder, ground: _Ground) -> None:
        self._images = images
        self._ground = ground

    async def resolve(self, environment: Environment) -> str:
        return (await self._images.resolve(environment.image or RUNNER)).image_id

    async def prepare(
        self,
        environment: Environment,
        image_id: str,
        workspace: Path,
        hidden: Callable[[bytes], bool],
    ) -> str:
        from sandbox.docker.environment import EnvironmentBuilder  # by the plans that have a set-up

        ground = self._ground
        builder = EnvironmentBuilder(
            ground.api, store_id=ground.store_id, lease=ground.lease, locks=ground.home / "locks"
        )
        return await builder.prepare(image_id, environment.setup, workspace, hidden=hidden)


class _Variants:
    """Image variants over Docker, their builder loaded with the first use."""

    def __init__(self, images: ImageBuilder) -> None:
        self._images = images

    async def image_of(self, variant: str) -> str:
        from sandbox.docker.variant import VariantBuilder

        return (await VariantBuilder(self._images).build(variant)).image_id


class _Checks:
    """`ValidationService`, loaded with the first check."""

    def __init__(self, clock: Clock, kept: Path) -> None:
        self._clock = clock
        self._kept = kept

    async def check(
        self,
        checks: Sequence[str],
        run: Looker,
        changed: Sequence[bytes] | None,
        paths: Sequence[str] | None,
        timeout: timedelta,  # noqa: ASYNC109 - passed on
        policy: FindingPolicy,
        before: Looker | None,
        *,
        since_commit: bool = False,
    ) -> ValidationReport:
        from engine.validation.cache import DirectoryCache
        from engine.validation.service import ValidationService

        service = ValidationService(self._clock, cache=DirectoryCache(self._kept))
        return await service.check(checks, run, changed, paths, timeout, policy, before, since_commit=since_commit)


@dataclass(frozen=True, slots=True)
class Application:
    """Everything, put together, for one process and one state directory."""

    home: Path
    journal: Journal
    writer: JournalWriter
    engine: Verbs
    results: Results | RemoteResults
    image: ImageBuilder
    store: OverlayLayerStore
    provider: DockerSandboxProvider
    blocking: Blocking
    clock: Clock
    collector: GarbageCollector
    lease: str
    store_id: str

    async def keep_ready(self) -> None:
        """For a process that lives on: have a sandbox of the default kind wait for whoever comes, and of each kind
        used lately. Without the default image none of that waits."""
        self.provider.pool.keep_recent(_RECENT_KINDS)
        try:
            image = await self.image.resolve(RUNNER)
        except SandboxError as error:
            _LOG.info("no sandbox waits: %s", error)
            return
        self.provider.expect(_AT_THE_READY, [SandboxSpec(image.image_id)])

    async def gc(self, *, older_than: timedelta | None, keep: int | None, dry_run: bool) -> GarbageReport:
        """Remove what nothing needs; see `GarbageCollector`. With the executions go the environments of this store,
        and what their applies had replaced: without its execution an apply cannot be undone.

        Without an engine images stay, and the report says so.
        """
        now = self.clock.now()
        report: GarbageReport = await self.blocking(
            lambda: self.collector.collect(now, older_than=older_than, keep=keep, dry_run=dry_run)
        )
        await self.blocking(self._collect_backups, report)
        needed = {record.image_id for record in await self.blocking(self.journal.executions, ALL)}
        before = now - (older_than or timedelta(0))
        try:
            pruned = await self.image.prune_environments(self.store_id, needed, before, dry_run=dry_run)
        except SandboxUnavailableError as error:
            report.skipped.append(("environment images", str(error)))
        else:
            report.rubbish.extend(f"image {image.image_id}" for image in pruned)
        return report

    def _collect_backups(self, report: GarbageReport) -> None:
        from engine.checkpoints.backup import BackupService

        def is_gone(execution_id: str) -> bool:
            try:
                self.journal.execution(execution_id)
            except NotFoundError:
                return True
            return execution_id in report.executions

        if (self.home / "applies").is_dir():
            collected = BackupService(self.home).collect(is_gone=is_gone, dry_run=report.dry_run)
            report.rubbish.extend(f"backup {apply_id}" for apply_id in collected.apply_ids)
            report.freed_bytes += collected.disk_bytes


@asynccontextmanager
async def open_application(
    home: Path | None = None, *, engine: bool, attach: bool = False, config: EngineConfig | None = None
) -> AsyncIterator[Application]:
    """The application over the state directory `home`, open for the block.

    engine: a container engine is needed; without one the caller only reads and applies. attach: where a controller
    of this state directory is running, it does what changes executions; what is read is read here. config: instead
    of `home`, with bounds other than the usual.

    Raises:
      EngineUnreachableError: `engine`, and none answers.
      JournalCorruptError, JournalVersionError, StoreBusyError: the state directory cannot be used.
    """
    config = config or EngineConfig(home=home or state_directory(os.environ))
    async with AsyncExitStack() as stack:
        _allow_files(config.max_queued)
        threads = ThreadPoolExecutor(_WORKERS, thread_name_prefix="sandstone")
        stack.push_async_callback(asyncio.to_thread, threads.shutdown)
        loop = asyncio.get_running_loop()
        address = await loop.run_in_executor(threads, _live_controller, config.home) if attach else None
        here = engine and address is None
        ground = await _lay_ground(config, stack, threads, here)
        await _put_in_order(ground, here)
        application = await _put_together(config, ground, stack, here)
        yield application if address is None else await _attached(application, address, stack)


def _allow_files(executions: int) -> None:
    """Let this process have so many files open that each execution, waiting ones too, can hold its lock."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OTHER_FILES + 2 * executions
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _live_controller(home: Path) -> UnixAddress | None:
    """Blocking. Where the state directory's controller listens, if there is one that this user can talk to."""
    from engine.rpc.address import ControllerPlace, UnixAddress, parse_address

    record = ControllerPlace(home).find()
    address = parse_address(record.address) if record is not None else None
    return address if isinstance(address, UnixAddress) else None


async def _attached(application: Application, address: UnixAddress, stack: AsyncExitStack) -> Application:
    """The application with the controller's verbs in place of its own."""
    from engine.rpc.client import connect
    from engine.rpc.remote import RemoteEngine, RemoteResults

    client = await stack.enter_async_context(connect(address))
    remote = RemoteEngine(client, application.journal, application.blocking)
    stack.push_async_callback(remote.close)
    results = application.results
    assert isinstance(results, Results)
    return replace(application, engine=remote, results=RemoteResults(results, client))


async def examine_machine(home: Path | None = None) -> list[Probe]:
    """What this machine and its container engine offer and lack. Opens and changes nothing; a lack is no error."""
    from sandbox.docker.doctor import examine

    api = ImageApi()
    images = ImageBuilder(api)
    try:
        return await examine(api, images, home or state_directory(os.environ))
    finally:
        images.close()


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else stands on."""

    home: Path
    clock: Clock
    blocking: Blocking
    store_id: str
    lease: str
    journal: Journal
    store: OverlayLayerStore
    api: ImageApi
    locks: ExecutionLocks
    logs: LogStore

    def is_live(self, lease: str) -> bool:
        return is_live(self.home, lease)

    @property
    def recovery(self) -> Recovery:
        return Recovery(self.journal, self.store, self.locks, self.logs)


async def _lay_ground(
    config: EngineConfig, stack: AsyncExitStack, threads: ThreadPoolExecutor, engine: bool
) -> _Ground:
    """Open the state directory. What is opened is closed by `stack`, last opened first."""
    home, clock, api = config.home, SystemClock(), ImageApi()
    stack.callback(api.close)
    if engine:
        # Loaded while the disk is waited for.
        api.prepare()

    async def blocking(function: Callable[..., T], /, *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, function, *args)

    store_id = await blocking(identify, home)
    lease = await blocking(Lease.acquire, home)
    stack.push_async_callback(blocking, lease.release)
    database = await blocking(Database, home / "journal.db")
    stack.push_async_callback(blocking, database.close)
    mounter = _mounter(home, store_id, lease.name, api.socket_path)
    stack.push_async_callback(blocking, mounter.close)
    # The journal's own transactions put the layers' rows on the disk, too.
    register = await blocking(lambda: Register(home / "journal.db", durable=False))
    store = await blocking(lambda: OverlayLayerStore(home, register, mounter, lease=lease.name))
    stack.push_async_callback(blocking, store.close)
    return _Ground(
        home=home,
        clock=clock,
        blocking=blocking,
        store_id=store_id,
        lease=lease.name,
        journal=Journal(database, clock),
        store=store,
        api=api,
        locks=await blocking(ExecutionLocks, home / "locks"),
        logs=LogStore(home / "logs"),
    )


async def _put_in_order(ground: _Ground, engine: bool) -> None:
    """What dead processes left: containers first, then what was mounted for them, then what they were doing."""
    if await ground.blocking(dead_leases, ground.home):
        # What a damaged journal does not name is no rubbish.
        await ground.blocking(ground.journal.check)
        try:
            await reap(ground.api, ground.store_id, ground.store.slots, ground.is_live)
        except SandboxUnavailableError:
            if engine:
                raise
            # No engine, no containers: what is mounted can be cleaned without it.
        await ground.blocking(_remove_bells, ground.home)
        # Who shares the mount point takes it away at its end when nobody else does: the dead could not.
        await ground.blocking(ground.store.share)
        await ground.blocking(ground.store.cleanup)
        await ground.blocking(remove_unowned, ground.journal, ground.store, ground.locks, ground.logs)
    await ground.blocking(ground.recovery.all)
    if await ground.blocking((ground.home / "applies").is_dir):
        from engine.checkpoints.recovery import recover as recover_applies

        await ground.blocking(recover_applies, ground.home)


def _remove_bells(home: Path) -> None:
    """Blocking. What dead processes could be reached by; see `engine.reach`."""
    directory = home / BELLS
    if directory.is_dir():
        for name in os.listdir(directory):
            if not is_live(home, name.partition(".")[0]):
                (directory / name).unlink(missing_ok=True)


async def _put_together(config: EngineConfig, ground: _Ground, stack: AsyncExitStack, engine: bool) -> Application:
    """Build the engine and what serves it on the ground."""
    provider = DockerSandboxProvider(
        ground.api,
        ground.store,
        store_id=ground.store_id,
        lease=ground.lease,
        slots=ground.store.slots,
        is_live=ground.is_live,
        bounds=PoolBounds(per_spec=config.waiting_per_spec, total=config.waiting_total),
    )
    stack.push_async_callback(provider.close)
    if engine:
        await ground.blocking(ground.store.share)
        await provider.start()
    images = ImageBuilder(ground.api)
    writer = JournalWriter(ground.journal, EventBus(), ground.blocking)
    execution_engine = _engine(config, ground, writer, provider, images)
    stack.push_async_callback(execution_engine.close)
    results = await ground.blocking(
        Results, ground.home, ground.journal, ground.store, ground.locks, ground.logs, writer, ground.blocking
    )
    return Application(
        home=ground.home,
        journal=ground.journal,
        writer=writer,
        engine=execution_engine,
        results=results,
        image=images,
        store=ground.store,
        provider=provider,
        blocking=ground.blocking,
        clock=ground.clock,
        collector=GarbageCollector(ground.journal, ground.store, ground.locks, ground.logs),
        lease=ground.lease,
        store_id=ground.store_id,
    )


def _engine(
    config: EngineConfig,
    ground: _Ground,
    writer: JournalWriter,
    provider: DockerSandboxProvider,
    images: ImageBuilder,
) -> ExecutionEngine:
    clock, store, environments = ground.clock, ground.store, _Environments(images, ground)
    rollback = RollbackService(writer)
    recorder = RunRecorder(writer, BaseRecorder(store), clock)
    queue = ExecutionQueue(config.max_running, config.max_queued)
    pauses = PauseKeeper(recorder, queue, provider)
    volumes = ExecutionVolumes(store, ground.blocking)
    opener = ExecutionOpener(
        OpenerServices(
            writer=writer,
            store=store,
            volumes=volumes,
            provider=provider,
            environments=environments,
            queue=queue,
            locks=ground.locks,
            clock=clock,
            lease=ground.lease,
            recovery=ground.recovery,
        )
    )
    forker = Forker(
        ForkerServices(writer, store, volumes, environments, ground.locks, ground.logs, clock, lease=ground.lease)
    )
    driver = Driver(
        DriverServices(
            writer=writer,
            recorder=recorder,
            output=OutputKeeper(writer, ground.logs),
            store=store,
            volumes=volumes,
            provider=provider,
            executor=StepExecutor(
                StepServices(
                    store, provider, _Checks(clock, ground.home / KEPT_RESULTS), ground.blocking, _Variants(images)
                ),
                clock,
            ),
            rollback=rollback,
            clock=clock,
        )
    )
    supervisor = RunSupervisor(SupervisorServices(writer, driver, opener, environments, pauses, queue, ground.recovery))
    return ExecutionEngine(
        EngineServices(
            writer, opener, forker, supervisor, pauses, queue, rollback, ground.locks, clock, ground.recovery
        )
    )


def _mounter(home: Path, store_id: str, lease: str, socket_path: str) -> Mounter:
    """Who mounts: this process when it is root, else a helper container, started when it is first needed."""
    if os.geteuid() == 0:
        return KernelMounter()
    from sandbox.docker.helper_mounter import HelperMounter

    def start(bases: Sequence[Path]) -> HelperContainer:
        from sandbox.docker.helper import HelperContainer

        return HelperContainer(socket_path, f"{RUNNER}:latest", home, bases, store_id, lease)

    return HelperMounter(home, start)
