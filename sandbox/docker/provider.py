"""Sandboxes of a Docker engine: `DockerSandboxProvider` and the `DockerSandbox` it hands out.

Where layers can be mounted late, a claim takes a waiting container and mounts the layer on its slot; where they
cannot (the store says so, or the runtime does not see late mounts), the layer is mounted first and a container
is started over it. Either way the layer is unmounted only when every process of the container is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from sandbox.docker.api import DockerApi
from sandbox.docker.attempt import Attempt
from sandbox.docker.container import Container, start_container
from sandbox.docker.knowledge import EngineHost, EngineKnowledge
from sandbox.docker.policy import ContainerPolicy
from sandbox.docker.pool import PoolBounds, SandboxPool
from sandbox.docker.reaper import LeaseCheck, reap
from sandbox.docker.removal import Removals, remove_slot
from sandbox.errors import (
    HostDiskFullError,
    LayerKindError,
    MountError,
    SandboxUnavailableError,
    SpecRefusedError,
)
from sandbox.failpoints import SandboxPoint, reached
from sandbox.policy import check_request, check_spec
from sandbox.sandbox import OutputSink
from sandbox.spec import ExecRequest, ExecResult, ResourceUsage, SandboxSpec, Verdict
from sandbox.workspace.layer import DiskLimit, LayerKey, LayerKind, Usage, VolumeId
from sandbox.workspace.store import LayerStore
from sandbox.workspace.volumes import LARGEST_PIECE

_LOG: Final = logging.getLogger(__name__)
_LATE_RUNTIMES: Final = frozenset({"runc", "crun"})
_UNMOUNT_TRIES: Final = 10
_UNMOUNT_PAUSE: Final = 0.002

_FULL_INODES: Final = 2
"""A volume with less than this free is full."""


def volume_is_full(usage: Usage, limit: DiskLimit) -> bool:
    """True when a volume has practically nothing left to give."""
    return limit.bytes - usage.bytes < LARGEST_PIECE or limit.inodes - usage.inodes < _FULL_INODES


class DockerSandbox:
    """One container over one layer. The specification is `sandbox.sandbox.Sandbox`."""

    def __init__(
        self,
        container: Container,
        store: LayerStore,
        layer: LayerKey,
        volume: VolumeId,
        on_closed: Callable[[DockerSandbox], None],
    ) -> None:
        self.container = container
        self._store = store
        self._layer = layer
        self._volume = volume
        self._on_closed = on_closed
        self._attempt: Attempt | None = None
        self._killed = False
        self._closing: asyncio.Future[None] | None = None

    @property
    def container_id(self) -> str:
        return self.container.id

    async def run(self, request: ExecRequest, on_output: OutputSink | None = None) -> ExecResult:
        check_request(request)
        if self._attempt is not None or self._killed or self._closing is not None:
            raise SandboxUnavailableError("a sandbox runs one command, and this one has been used")
        self._attempt = Attempt(self.container, request, on_output, self._volume_full)
        return await self._attempt.run()

    def usage(self) -> ResourceUsage:
        return self._attempt.usage() if self._attempt is not None else ResourceUsage()

    async def freeze(self) -> None:
        await self.container.freeze()
        if self._attempt is not None:
            self._attempt.pause()

    async def thaw(self) -> None:
        await self.container.thaw()
        if self._attempt is not None:
            self._attempt.resume()

    async def kill(self) -> None:
        self._killed = True
        if self._attempt is not None:
            self._attempt.stop(Verdict.KILLED)
        await self.container.kill()

    async def close(self) -> None:
        failed = self._closing is not None and self._closing.done() and self._closing.exception() is not None
        if self._closing is None or failed:
            self._closing = asyncio.ensure_future(self._close())
        # Shielded: a caller that gives up must not leave a mount behind.
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self.kill()
        for attempt in itertools.count(1):
            try:
                await asyncio.to_thread(self._store.unmount, self._layer)
            except MountError:
                # The kernel drops a dead container's last references a moment after its death.
                if attempt == _UNMOUNT_TRIES:
                    raise
                await asyncio.sleep(_UNMOUNT_PAUSE * attempt)
            else:
                break
        reached(SandboxPoint.AFTER_UNMOUNT)
        self._on_closed(self)

    async def _volume_full(self) -> bool:
        usage, limit = await asyncio.to_thread(self._store.volume_usage, self._volume)
        return volume_is_full(usage, limit)


class DockerSandboxProvider:
    """Hands out `DockerSandbox`es. The specification is `sandbox.sandbox.SandboxProvider`.

    store_id and lease: the labels' values. slots: a directory below the store's shared mount, for this and other
    processes' slots. is_live: see `reaper`.
    """

    def __init__(
        self,
        api: DockerApi,
        store: LayerStore,
        *,
        store_id: str,
        lease: str,
        slots: Path,
        is_live: LeaseCheck,
        bounds: PoolBounds | None = None,
    ) -> None:
        self._api = api
        self._store = store
        self._store_id = store_id
        self._lease = lease
        self._slots = slots
        self._is_live = is_live
        self._numbers = itertools.count(1)
        self._knowledge = EngineKnowledge(api)
        self._sandboxes: set[DockerSandbox] = set()
        self._removals = Removals()
        self._pool = SandboxPool(self._start_waiting, self._dispose, bounds or PoolBounds())
        self._learning: asyncio.Future[EngineHost] | None = None
        self._closed = asyncio.Event()

    @property
    def pool(self) -> SandboxPool:
        """The containers that wait."""
        return self._pool

    async def start(self) -> list[str]:
        """Get ready: begin to ask the engine what it can do, and remove what dead processes left; returns what.

        Optional before `claim`. Raises SandboxUnavailableError: the engine does not answer.
        """
        removed = await reap(self._api, self._store_id, self._slots, self._is_live)
        # Needed by the first container, and not before: nobody waits for it here.
        self._learning = asyncio.ensure_future(self._knowledge.host())
        self._learning.add_done_callback(_unheard)
        return removed

    async def claim(self, spec: SandboxSpec, layer: LayerKey) -> DockerSandbox:
        check_spec(spec)
        if self._closed.is_set():
            raise SandboxUnavailableError("the provider is closed")
        late = self._store.late_mounts and spec.runtime in _LATE_RUNTIMES
        sandbox = await (self._claim_waiting(spec, layer) if late else self._claim_cold(spec, layer))
        self._sandboxes.add(sandbox)
        if self._closed.is_set():
            await sandbox.close()
            raise SandboxUnavailableError("the provider is closed")
        return sandbox

    def expect(self, owner: str, specs: Sequence[SandboxSpec]) -> None:
        usable = specs if self._store.late_mounts else ()
        self._pool.expect(owner, [spec for spec in usable if spec.runtime in _LATE_RUNTIMES])

    async def close(self) -> None:
        self._closed.set()
        if self._learning is not None:
            self._learning.cancel()
        await self._pool.close()
        closings = [sandbox.close() for sandbox in self._sandboxes]
        outcomes = await asyncio.gather(*closings, return_exceptions=True)
        await self._removals.drain()
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    # -- the two ways to a sandbox ---------------------------------------------------------------

    async def _claim_waiting(self, spec: SandboxSpec, layer: LayerKey) -> DockerSandbox:
        container = await self._pool.take(spec)
        try:
            volume = await _uninterrupted(self._mount, layer, container.workspace)
        except MountError:
            self._dispose(container)
            raise
        except BaseException:
            self._pool.give_back(container)
            raise
        return DockerSandbox(container, self._store, layer, volume, self._forget)

    async def _claim_cold(self, spec: SandboxSpec, layer: LayerKey) -> DockerSandbox:
        slot = await self._make_slot()
        try:
            volume = await _uninterrupted(self._check_kind, layer)
            merged = await _uninterrupted(self._store.mount, layer, slot)
            try:
                container = await self._start(spec, merged, late_mounts=False)
            except BaseException:
                await _uninterrupted(self._store.unmount, layer)
                raise
        except BaseException:
            await asyncio.to_thread(remove_slot, slot)
            raise
        return DockerSandbox(container, self._store, layer, volume, lambda done: self._forget(done, slot))

    async def _start_waiting(self, spec: SandboxSpec) -> Container:
        slot = await self._make_slot()
        try:
            return await self._start(spec, slot, late_mounts=True)
        except BaseException:
            await asyncio.to_thread(remove_slot, slot)
            raise

    async def _start(self, spec: SandboxSpec, workspace: Path, *, late_mounts: bool) -> Container:
        host = await self._knowledge.host()
        if spec.runtime not in host.runtimes:
            raise SpecRefusedError("runtime", f"the engine has no runtime {spec.runtime!r}")
        image = await self._knowledge.image(spec.image_id)
        policy = ContainerPolicy(self._store_id, self._lease, host.cgroup_version, host.cpus)
        name = f"sandstone-{self._lease}-{next(self._numbers)}"
        return await start_container(
            self._api, policy, spec, image, name, workspace, late_mounts=late_mounts, later=self._removals.finish
        )

    def _mount(self, layer: LayerKey, slot: Path) -> VolumeId:
        volume = self._check_kind(layer)
        self._store.mount(layer, slot)
        return volume

    def _check_kind(self, layer: LayerKey) -> VolumeId:
        row = self._store.stat(layer)
        if row.kind is LayerKind.COMMITTED:
            raise LayerKindError(layer, "is committed; a sandbox needs an active layer or a view")
        return row.volume

    # -- the end of containers -------------------------------------------------------------------

    async def _make_slot(self) -> Path:
        slot = self._slots / f"{self._lease}-{next(self._numbers)}"
        try:
            await asyncio.to_thread(slot.mkdir, mode=0o755, parents=True)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise HostDiskFullError("the directory that a sandbox is started over", 4096, 0) from error
        return slot

    def _forget(self, sandbox: DockerSandbox, slot: Path | None = None) -> None:
        self._sandboxes.discard(sandbox)
        self._dispose(sandbox.container, slot)

    def _dispose(self, container: Container, slot: Path | None = None) -> None:
        # When no step is about to begin, the engine is free for it now.
        self._removals.add(container, slot or container.workspace, at_once=not self._pool.expects)


def _unheard(learning: asyncio.Future[EngineHost]) -> None:
    """Whoever needs the answer asks again, and is told why there is none."""
    if not learning.cancelled():
        learning.exception()


async def _uninterrupted(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run blocking `work` on a thread to its end, also when the caller is cancelled meanwhile.

    A thread cannot be stopped: going on while it still mounts would leave a mount that nobody knows of.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await task
        raise
