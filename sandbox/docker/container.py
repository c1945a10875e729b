"""One container from its creation to its removal: started, gate ready, used at most once.

`start_container` is the only place that creates containers. A `Container` holds everything that is open for it
(attach stream, pidfd, cgroup files) and knows how to freeze, thaw, kill and remove it. What runs in it is
`attempt.py`'s business, when it is wanted `pool.py`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sandbox.docker.api import DockerApi, EngineCallError
from sandbox.docker.cgroup import CgroupCounters, CgroupReader
from sandbox.docker.gate import PRELUDE, READY
from sandbox.docker.pidfd import InitProcess
from sandbox.docker.policy import ContainerPolicy, ImageFacts
from sandbox.docker.stream import AttachStream
from sandbox.errors import (
    EngineTimeoutError,
    EngineUnreachableError,
    ImageRefusedError,
    SandboxError,
    SandboxUnavailableError,
    SpecRefusedError,
)
from sandbox.failpoints import SandboxPoint, reached
from sandbox.spec import ResourceUsage, SandboxSpec, Stream

_LOG: Final = logging.getLogger(__name__)
_READY_LIMIT: Final = timedelta(seconds=30)
_END_LIMIT: Final = timedelta(seconds=1)
_DEATH_LIMIT: Final = timedelta(seconds=30)
_BAD_REQUEST: Final = 400
_NO_SUCH_FILE: Final = ("no such file", "not found", "exec format error", "permission denied")


@dataclass(slots=True, eq=False)
class Container:
    """A started container whose gate is ready.

    workspace: the host directory bound at /workspace. baseline: counters when the gate became ready.
    """

    api: DockerApi
    id: str
    spec: SandboxSpec
    workspace: Path
    init: InitProcess
    stream: AttachStream
    counters: CgroupReader
    baseline: CgroupCounters
    frozen: bool = False
    _killed: bool = False
    _freezing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def usage(self, now: CgroupCounters) -> ResourceUsage:
        """What was used since the gate was ready, when its counters are `now`."""
        cpu_time = None
        if now.cpu_time_us is not None:
            cpu_time = timedelta(microseconds=now.cpu_time_us - (self.baseline.cpu_time_us or 0))
        return ResourceUsage(
            cpu_time=cpu_time,
            memory_peak_bytes=now.memory_peak_bytes,
            pids_limit_hits=now.pids_limit_hits or 0,
            oom_kills=now.oom_kills or 0,
        )

    async def freeze(self) -> None:
        """Stop all its processes where they stand. Idempotent; nothing happens to one that is dead or being killed."""
        async with self._freezing:
            if self.frozen or self._killed or self.init.dead.is_set():
                return
            if await self._unless_ended(self.api.pause(self.id)):
                self.frozen = True

    async def thaw(self) -> None:
        """Undo `freeze`. Idempotent."""
        async with self._freezing:
            if self.frozen:
                await self._unless_ended(self.api.unpause(self.id))
                self.frozen = False

    async def _unless_ended(self, call: Coroutine[Any, Any, None]) -> bool:
        """Whether the call took effect: the engine refuses what has ended, and may know of the end before we do."""
        try:
            await call
        except EngineCallError:
            if await self.init.wait_dead(_END_LIMIT):
                return False
            raise
        return True

    async def kill(self) -> None:
        """Kill everything in it, frozen or not, and wait until all of it is dead.

        Raises SandboxUnavailableError: it does not die.
        """
        # A freeze that comes from now on would keep the dying alive.
        self._killed = True
        if not self.init.kill():
            await self.api.kill(self.id)
        # A task in a frozen version 1 cgroup dies only when it is thawed.
        await self.thaw()
        if not await self.init.wait_dead(_DEATH_LIMIT):
            raise SandboxUnavailableError(f"container {self.id[:12]} does not die")

    async def remove(self) -> None:
        """Close what is open for it and remove it from the engine.

        A container that the engine will not remove now is left to the reaper.
        """
        self.stream.close()
        self.counters.close()
        self.init.close()
        await _remove(self.api, self.id)


async def start_container(
    api: DockerApi,
    policy: ContainerPolicy,
    spec: SandboxSpec,
    image: ImageFacts,
    name: str,
    workspace: Path,
    *,
    late_mounts: bool,
    later: Callable[[Coroutine[Any, Any, None]], None],
) -> Container:
    """Create and start container `name` over `workspace` and wait until its gate is ready.

    When this fails, nothing of the container is left. When it is cancelled, it ends at once: an engine may take
    long to answer, and what it was asked for is undone by work that is handed to `later`.

    Raises:
      ImageNotFoundError. ImageRefusedError: the image's /bin/sh does not start or is no POSIX shell.
      SpecRefusedError: the engine does not take this spec. SandboxUnavailableError: the engine failed.
    """
    config = policy.create_config(spec, image, workspace, late_mounts=late_mounts)
    reached(SandboxPoint.BEFORE_CREATE)
    creation = asyncio.ensure_future(api.create(name, config))
    try:
        container_id = await asyncio.shield(creation)
        return await _bring_up(api, container_id, spec, workspace)
    except asyncio.CancelledError:
        later(_abandon(api, creation, name))
        raise
    except BaseException as error:
        await asyncio.shield(asyncio.ensure_future(_abandon(api, creation, name)))
        if isinstance(error, EngineCallError) and error.status == _BAD_REQUEST:
            raise _refusal(spec, error) from error
        raise


async def _bring_up(api: DockerApi, container_id: str, spec: SandboxSpec, workspace: Path) -> Container:
    """Attach before the start, so that stdin is there and not a byte is lost; then start, and say hello."""
    ready = asyncio.Event()
    greeting = bytearray()

    def listen(stream: Stream, chunk: bytes) -> None:
        if len(greeting) < len(READY):
            greeting.extend(chunk[: len(READY)])
        if len(greeting) >= len(READY):
            ready.set()

    stream = AttachStream(await api.attach(container_id), listen)
    init: InitProcess | None = None
    counters: CgroupReader | None = None
    try:
        await api.start(container_id)
        reached(SandboxPoint.CONTAINER_STARTED)
        init = await _take_hold(api, container_id, spec)
        await stream.write(PRELUDE)
        await _wait_ready(ready, init, spec)
        if bytes(greeting) != READY:
            raise ImageRefusedError(spec.image_id, "its /bin/sh does not behave like a POSIX shell")
        reached(SandboxPoint.CONTAINER_READY)
        counters = CgroupReader.open(init.pid)
        return Container(api, container_id, spec, workspace, init, stream, counters, baseline=counters.read())
    except BaseException:
        stream.close()
        if init is not None:
            init.close()
        if counters is not None:
            counters.close()
        raise


async def _take_hold(api: DockerApi, container_id: str, spec: SandboxSpec) -> InitProcess:
    facts = await api.inspect(container_id)
    if facts is None:
        raise SandboxUnavailableError("the container vanished after its start")
    pid = int(facts["State"].get("Pid") or 0)
    init = InitProcess.open(pid, container_id) if pid > 0 else None
    if init is None:
        code = facts["State"].get("ExitCode")
        raise ImageRefusedError(spec.image_id, f"its /bin/sh ended at once (exit code {code})")
    return init


async def _wait_ready(ready: asyncio.Event, init: InitProcess, spec: SandboxSpec) -> None:
    waiting = asyncio.ensure_future(ready.wait())
    dying = asyncio.ensure_future(init.dead.wait())
    try:
        done, _ = await asyncio.wait(
            (waiting, dying), timeout=_READY_LIMIT.total_seconds(), return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        waiting.cancel()
        dying.cancel()
    if not done:
        raise SandboxUnavailableError("the container's gate did not become ready")
    if waiting not in done:
        raise ImageRefusedError(spec.image_id, "its /bin/sh ended before it was ready")


async def _abandon(api: DockerApi, creation: asyncio.Future[str], name: str) -> None:
    """Remove a container that did not come up, also when its creation is still under way or was never answered."""
    try:
        container = await creation
    except (EngineTimeoutError, EngineUnreachableError):
        container = name  # whether the engine made it, nobody said
    except SandboxError:
        return  # it was never created; the caller has the reason
    await _remove(api, container)


async def _remove(api: DockerApi, container_id: str) -> None:
    try:
        await api.remove(container_id)
    except SandboxUnavailableError as error:
        _LOG.warning("container %s is left to the reaper: %s", container_id[:12], error)


def _refusal(spec: SandboxSpec, error: EngineCallError) -> SandboxError:
    """A create or start call that the engine found wrong in itself: trying again cannot help."""
    reason = error.reason.lower()
    if error.call == "start" and any(phrase in reason for phrase in _NO_SUCH_FILE):
        return ImageRefusedError(spec.image_id, "it has no /bin/sh that runs here")
    if "runtime" in reason and spec.runtime in reason:
        return SpecRefusedError("runtime", f"the engine has no runtime {spec.runtime!r}")
    return SpecRefusedError("spec", error.reason)
