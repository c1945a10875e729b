"""A provider that runs nothing: a script says how each command ends and what it changes.

It keeps every rule of `sandbox.sandbox` that does not need a kernel: layers are mounted and really changed, limits
of time and output hold, a sandbox is used once, closing unmounts. So it is the oracle for the clever one, and
good for dry runs.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import ImageNotFoundError, LayerKindError, SandboxUnavailableError
from sandbox.policy import check_request, check_spec
from sandbox.runclock import RunClock
from sandbox.sandbox import OutputSink
from sandbox.spec import CapturedOutput, ExecRequest, ExecResult, ResourceUsage, SandboxSpec, Stream, Verdict
from sandbox.workspace.layer import LayerKey, LayerKind
from sandbox.workspace.store import LayerStore


@dataclass(frozen=True, slots=True)
class Scripted:
    """What one command does.

    effect: is given the merged workspace and changes it. hangs: after its output it does not end by itself.
    until: after its output it goes on until this is set. verdict: a limit that it runs into.
    """

    exit_code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    effect: Callable[[Path], None] | None = None
    hangs: bool = False
    until: asyncio.Event | None = None
    verdict: Verdict | None = None
    usage: ResourceUsage = field(default_factory=ResourceUsage)


Script = Callable[[ExecRequest], Scripted]


def script_of(commands: Mapping[str | tuple[str, ...], Scripted]) -> Script:
    """A script by command; one that is not in it ends like a program that is not there."""

    def look_up(request: ExecRequest) -> Scripted:
        missing = Scripted(exit_code=127, stderr=b"not in the script\n")
        return commands.get(request.command, missing)

    return look_up


class InMemorySandbox:
    """One scripted attempt over one layer. The specification is `sandbox.sandbox.Sandbox`."""

    def __init__(self, name: str, script: Script, store: LayerStore, layer: LayerKey, tree: Path) -> None:
        self._name = name
        self._script = script
        self._store = store
        self._layer = layer
        self._tree = tree
        self._clock: RunClock | None = None
        self._stopped_for: Verdict | None = None
        self._stopped = asyncio.Event()
        self._over = asyncio.Event()
        self._over.set()
        self._going = asyncio.Event()
        self._going.set()
        self._used = False
        self._act: Scripted | None = None

    @property
    def container_id(self) -> str:
        return self._name

    async def run(self, request: ExecRequest, on_output: OutputSink | None = None) -> ExecResult:
        check_request(request)
        if self._used or self._stopped.is_set():
            raise SandboxUnavailableError("a sandbox runs one command, and this one has been used")
        self._used = True
        self._over.clear()
        self._clock = RunClock(request.timeout, lambda: self._stop(Verdict.TIMEOUT))
        if self._going.is_set():
            self._clock.resume()
        try:
            return await self._play(request, on_output, self._clock)
        finally:
            self._clock.stop()
            self._over.set()

    def usage(self) -> ResourceUsage:
        return self._act.usage if self._act is not None else ResourceUsage()

    async def freeze(self) -> None:
        if self._stopped.is_set():
            return
        self._going.clear()
        if self._clock is not None:
            self._clock.pause()

    async def thaw(self) -> None:
        self._going.set()
        if self._clock is not None:
            self._clock.resume()

    async def kill(self) -> None:
        self._stop(Verdict.KILLED)
        await self._over.wait()

    async def close(self) -> None:
        await self.kill()
        await asyncio.to_thread(self._store.unmount, self._layer)

    def _stop(self, reason: Verdict) -> None:
        if not self._stopped.is_set():
            self._stopped_for = reason
            self._stopped.set()
            self._going.set()

    async def _end_of(self, work: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (work, self._stopped)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _play(self, request: ExecRequest, sink: OutputSink | None, clock: RunClock) -> ExecResult:
        act = self._act = self._script(request)
        await self._going.wait()
        room = request.output_limit_bytes
        kept: dict[Stream, bytes] = {}
        for stream, output in ((Stream.STDOUT, act.stdout), (Stream.STDERR, act.stderr)):
            kept[stream] = output[:room] if not self._stopped.is_set() else b""
            room -= len(output)
            if kept[stream] and sink is not None:
                sink(stream, kept[stream])
        if room < 0:
            self._stop(Verdict.OUTPUT_LIMIT)
        if act.effect is not None and not self._stopped.is_set():
            await asyncio.to_thread(act.effect, self._tree)
        if act.hangs:
            await self._stopped.wait()
        if act.until is not None:
            await self._end_of(act.until)
        await self._going.wait()
        verdict = self._stopped_for or act.verdict
        return ExecResult(
            exit_code=None if self._stopped_for is not None else act.exit_code,
            verdict=verdict,
            stdout=CapturedOutput(kept[Stream.STDOUT]),
            stderr=CapturedOutput(kept[Stream.STDERR]),
            run_time=clock.elapsed,
            usage=act.usage,
            detail="" if verdict is None else f"the script ended with {verdict.value}",
        )


class InMemorySandboxProvider:
    """Hands out `InMemorySandbox`es. The specification is `sandbox.sandbox.SandboxProvider`.

    mounts: a directory below which layers are mounted. images: ids that exist; None: all do.
    """

    def __init__(self, store: LayerStore, script: Script, mounts: Path, images: Collection[str] | None = None) -> None:
        self._store = store
        self._script = script
        self._mounts = mounts
        self._images = images
        self._numbers = itertools.count(1)
        self._sandboxes: list[InMemorySandbox] = []
        self._closed = False
        self.expected: dict[str, tuple[SandboxSpec, ...]] = {}
        """What each owner said it will claim next."""

    async def claim(self, spec: SandboxSpec, layer: LayerKey) -> InMemorySandbox:
        check_spec(spec)
        if self._closed:
            raise SandboxUnavailableError("the provider is closed")
        if self._images is not None and spec.image_id not in self._images:
            raise ImageNotFoundError(spec.image_id)
        name = f"memory-{next(self._numbers)}"
        mounting = asyncio.ensure_future(asyncio.to_thread(self._mount, layer, self._mounts / name))
        try:
            tree = await asyncio.shield(mounting)
        except asyncio.CancelledError:
            # A thread cannot be stopped; what it mounts after all is not wanted.
            await asyncio.wait({mounting})
            if mounting.exception() is None:
                await asyncio.to_thread(self._store.unmount, layer)
            raise
        sandbox = InMemorySandbox(name, self._script, self._store, layer, tree)
        self._sandboxes.append(sandbox)
        return sandbox

    def expect(self, owner: str, specs: Sequence[SandboxSpec]) -> None:
        if specs:
            self.expected[owner] = tuple(specs)
        else:
            self.expected.pop(owner, None)

    async def close(self) -> None:
        self._closed = True
        while self._sandboxes:
            await self._sandboxes.pop().close()

    def _mount(self, layer: LayerKey, target: Path) -> Path:
        if self._store.stat(layer).kind is LayerKind.COMMITTED:
            raise LayerKindError(layer, "is committed; a sandbox needs an active layer or a view")
        target.mkdir(parents=True)
        return self._store.mount(layer, target)
