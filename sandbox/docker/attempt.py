"""One command in one container: from the request to the result.

The order of things at the end is what makes a result true. When both trailers have come, the streams are
complete and the command has ended; the counters are read while the gate still holds the cgroup; then the gate
is released; the attempt is over when the kernel says that PID 1, and with it everything, is dead. When a limit
is hit first, everything is killed at once and the counters are read in the same turn of the event loop.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from sandbox.docker.capture import MAX_KEPT_BYTES, OutputCapture
from sandbox.docker.cgroup import CgroupCounters
from sandbox.docker.container import Container
from sandbox.docker.gate import RELEASE, request_script
from sandbox.docker.stream import TrailerFilter
from sandbox.docker.verdict import Facts, GateExit, judge
from sandbox.errors import SandboxUnavailableError
from sandbox.failpoints import SandboxPoint, reached
from sandbox.runclock import RunClock
from sandbox.sandbox import OutputSink
from sandbox.spec import ExecRequest, ExecResult, ResourceUsage, Stream, Verdict

VolumeProbe = Callable[[], Awaitable[bool]]
"""Says whether the volume of the attempt's layer is full."""

_VOLUME_PERIOD: Final = 0.25
_RELEASE_LIMIT: Final = timedelta(seconds=5)
"""How long a gate may take to end after its release, on a host however busy."""

_DRAIN_LIMIT: Final = 1.0


class Attempt:
    """Runs `request` in `container`, once. `stop` ends it early; `pause` and `resume` hold its clock."""

    def __init__(
        self, container: Container, request: ExecRequest, sink: OutputSink | None, volume_full: VolumeProbe
    ) -> None:
        nonce = secrets.token_hex(16)
        keep = min(request.output_limit_bytes, MAX_KEPT_BYTES)
        self._container = container
        self._script = request_script(request, nonce)
        self._sink = sink
        self._volume_full = volume_full
        self._filters = {stream: TrailerFilter(nonce) for stream in Stream}
        self._captures = {stream: OutputCapture(keep) for stream in Stream}
        self._room = request.output_limit_bytes
        self._ended = asyncio.Event()
        self._stopped_for: Verdict | None = None
        self._sink_error: Exception | None = None
        self._counters = CgroupCounters()
        self._clock = RunClock(request.timeout, lambda: self.stop(Verdict.TIMEOUT))
        self._saw_full_volume = False
        self._line_cut = False

    def stop(self, reason: Verdict) -> None:
        """Kill everything now; `run` will return with verdict `reason` unless a limit was hit before."""
        if self._ended.is_set():
            return
        self._stopped_for = reason
        self._container.init.kill()
        self._end()

    def pause(self) -> None:
        """Hold the attempt's clock."""
        self._clock.pause()

    def resume(self) -> None:
        """Let the attempt's clock go on."""
        self._clock.resume()

    def usage(self) -> ResourceUsage:
        """What the command has used: until now, or until its end."""
        counters = self._counters if self._ended.is_set() else self._container.counters.read()
        return self._container.usage(counters)

    async def run(self) -> ExecResult:
        """Run the command and wait until everything is dead. The specification is `Sandbox.run`."""
        container = self._container
        if container.init.dead.is_set():
            raise SandboxUnavailableError("the container ended before the command could start")
        container.stream.deliver_to(self._receive)
        container.init.on_death(self._end)
        helpers = [asyncio.ensure_future(step) for step in (self._send(), self._watch_stream(), self._watch_volume())]
        if not container.frozen:
            self._clock.resume()
        try:
            await self._ended.wait()
            reached(SandboxPoint.COMMAND_ENDED)
            await self._finish()
            reached(SandboxPoint.SANDBOX_DEAD)
        finally:
            self._clock.stop()
            container.init.kill()
            for helper in helpers:
                helper.cancel()
            outcomes = await asyncio.gather(*helpers, return_exceptions=True)
        for failure in (self._sink_error, *outcomes):
            if isinstance(failure, Exception):
                raise failure
        return await self._result()

    # -- while it runs ---------------------------------------------------------------------------

    async def _send(self) -> None:
        try:
            await self._container.stream.write(self._script)
            reached(SandboxPoint.RUNNING)
        except SandboxUnavailableError:
            # The connection is gone: the container is dying, or the engine went away. `_watch_stream` decides.
            self._container.stream.ended.set()

    async def _watch_stream(self) -> None:
        """A stream that ends before its container does is a lost container: nobody could see what it does.

        The gate, whose line has been cut, ends by itself; when it does not, it is killed.
        """
        await self._container.stream.ended.wait()
        self._line_cut = not self._container.init.dead.is_set()
        if not await self._container.init.wait_dead(timedelta(seconds=_DRAIN_LIMIT)):
            self.stop(Verdict.SANDBOX_UNAVAILABLE)

    async def _watch_volume(self) -> None:
        while True:
            await asyncio.sleep(_VOLUME_PERIOD)
            if await self._volume_full():
                self._saw_full_volume = True
                self.stop(Verdict.DISK_LIMIT)
                return

    def _receive(self, stream: Stream, chunk: bytes) -> None:
        trailer = self._filters[stream]
        output = trailer.feed(chunk)
        if output:
            self._keep(stream, output)
        if trailer.exit_code is not None and self._all_trailers:
            self._end()

    def _keep(self, stream: Stream, output: bytes) -> None:
        allowed = output[: self._room]
        self._room -= len(allowed)
        if allowed:
            self._captures[stream].add(allowed)
            self._show(stream, allowed)
        if len(output) > len(allowed):
            self.stop(Verdict.OUTPUT_LIMIT)
            # Not read any more, so it must go: an attach stream that nobody reads wedges the engine.
            self._container.stream.close()

    def _show(self, stream: Stream, output: bytes) -> None:
        if self._sink is None:
            return
        try:
            self._sink(stream, output)
        except Exception as error:  # noqa: BLE001 - raised again by `run`; here it would end in the event loop
            self._sink, self._sink_error = None, error
            self.stop(Verdict.KILLED)

    def _end(self) -> None:
        """The command is over, one way or the other: the clock stands, and the counters are read while they can."""
        if not self._ended.is_set():
            self._clock.stop()
            self._counters = self._container.counters.read()
            self._ended.set()

    # -- at the end ------------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Wait until everything is dead and everything that was written has been read."""
        container = self._container
        if self._trailer_code is not None and self._stopped_for is None:
            volume = asyncio.ensure_future(self._volume_full())
            await self._release()
            self._saw_full_volume = await volume
            return
        await container.kill()
        if not self._saw_full_volume:
            self._saw_full_volume = await self._volume_full()
        try:
            async with asyncio.timeout(_DRAIN_LIMIT):
                await container.stream.ended.wait()
        except TimeoutError:
            return  # the engine keeps the connection open; what has come is what there is

    async def _release(self) -> None:
        try:
            await self._container.stream.write(RELEASE)
        except SandboxUnavailableError:
            await self._container.kill()
            return
        while not await self._container.init.wait_dead(_RELEASE_LIMIT):
            # A gate that was frozen on its last step will end when it is thawed (or killed).
            if not self._container.frozen:
                await self._container.kill()

    async def _result(self) -> ExecResult:
        for stream, trailer in self._filters.items():
            rest = trailer.rest()
            if rest:
                self._keep(stream, rest)
        judgement = judge(await self._facts())
        return ExecResult(
            exit_code=judgement.exit_code,
            verdict=judgement.verdict,
            stdout=self._captures[Stream.STDOUT].result(),
            stderr=self._captures[Stream.STDERR].result(),
            run_time=self._clock.elapsed,
            usage=self.usage(),
            detail=judgement.detail,
        )

    async def _facts(self) -> Facts:
        gate = await self._container.init.exit_status()
        gone = ""
        oom_kills = self._counters.oom_kills or 0
        contradiction = self._trailer_code is None and self._all_trailers
        if self._trailer_code is None and self._stopped_for is None and not contradiction:
            gate, gone, oom_killed = await self._ask_engine(gate)
            oom_kills = oom_kills or int(oom_killed)
        if self._line_cut:
            gone = gone or "the connection to it broke"
        return Facts(
            stopped_for=self._stopped_for,
            trailer_code=self._trailer_code,
            contradiction=contradiction,
            gate=gate,
            oom_kills=oom_kills,
            pids_limit_hits=self._counters.pids_limit_hits or 0,
            volume_full=self._saw_full_volume,
            gone=gone,
        )

    async def _ask_engine(self, gate: GateExit | None) -> tuple[GateExit | None, str, bool]:
        """For a container that ended on its own: how it ended, whether it is gone, whether for want of memory."""
        try:
            facts = await self._container.api.inspect(self._container.id)
        except SandboxUnavailableError as error:
            return gate, str(error), False
        if facts is None:
            return gate, "it was removed", False
        state = facts["State"]
        if gate is None:
            code = int(state.get("ExitCode") or 0)
            gate = GateExit(signal=code - 128) if code > 128 else GateExit(code=code)
        return gate, str(state.get("Error") or ""), bool(state.get("OOMKilled"))

    @property
    def _all_trailers(self) -> bool:
        return all(trailer.exit_code is not None for trailer in self._filters.values())

    @property
    def _trailer_code(self) -> int | None:
        codes = {trailer.exit_code for trailer in self._filters.values()}
        return codes.pop() if len(codes) == 1 else None
