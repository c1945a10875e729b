"""The controller as what dies: a `sandstone serve` that a nursery forks, driven over gRPC like by any client.

`ServeVictim` remembers what a client of the dead would: which requests got no answer (it asks those again, by the same
id) and up to where it has heard of each execution (it goes on watching after that). All of gRPC lives on the event
loop of one thread; tests are no part of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Final, TypeVar

from engine.journal.records import ExecutionRecord
from engine.journal.states import ENDED
from engine.plan.parse import parse_plan
from engine.rpc.address import UnixAddress
from engine.rpc.client import ExecutionClient, connect
from engine.rpc.status import ControllerGoneError
from tests.e2e.command_bench import LIMIT_S, Running
from tests.faults.consistency import executions
from tests.faults.victims import QuickBench

T = TypeVar("T")
Work = Callable[[ExecutionClient], Awaitable[T]]


_DYING_S: Final = 10


class _Gone(Exception):
    """The controller ended before the work did."""


@dataclass
class Served(Running):
    """A controller that runs. `ended` lets it do its work and stops it in order, unless it dies before.

    listening: set when it has said that it listens, never if it dies before; work: what it was begun for.
    """

    listening: Future[None] = field(default_factory=Future)
    work: Future[None] = field(default_factory=Future)

    def ended(self) -> tuple[int, str]:
        """Its exit code, and nothing. Raises what the work raised, other than that the controller went away."""
        try:
            self.work.result(LIMIT_S)
            self.process.send_signal(signal.SIGTERM)
        except _Gone:
            pass
        except BaseException:
            self.abandon()
            raise
        return super().ended()


class ServeVictim:
    """Controllers of one store, one after the other; what is asked of them; what was heard of each execution.

    As a `Victim` it drives three at once, over one project; one of them waits for its turn where there are two
    processors.
    """

    width = 3

    def __init__(self, bench: QuickBench) -> None:
        self.bench = bench
        self.heard: dict[str, list[int]] = {}
        self.unanswered: list[tuple[str, str]] = []
        """Request ids with their plans."""
        self.answered: dict[str, str] = {}
        """Request id -> execution."""
        self.standing: Served | None = None
        """A controller that was begun and that nothing was asked to do yet."""
        self._address = UnixAddress(bench.directory / "run" / "c.sock")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="client")
        self._thread.start()

    def close(self) -> None:
        """End the client; controllers are the bench's."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- the victim ------------------------------------------------------------------------------

    def start(self, plan: str, failpoint: str = "") -> Served:
        """A controller that is asked for one new execution. Not answered, `retry` asks again by the same id."""
        self.unanswered.append((str(uuid.uuid4()), plan))
        return self._driving([], "", 0, failpoint)

    def retry(self, failpoint: str = "") -> Served:
        """A controller that is asked again what got no answer."""
        return self._driving([], "", 0, failpoint)

    def resume(self, execution_id: str, failpoint: str = "") -> Served:
        """A controller that goes on with the execution."""
        return self._driving([execution_id], "", 0, failpoint)

    def drive(self, plan: str, going: Sequence[str], new: int) -> Served:
        """The one that stands by, or another. What got no answer is asked again first, and is among the new ones."""
        return self._driving(going, plan, len(going) + new)

    def recover(self) -> dict[str, str]:
        """Begin the next controller: it puts in order what the dead left before it listens. Id -> state, told by it.

        It stands by: the next verb of this victim uses it.
        """
        assert self.standing is None, "it has a controller"
        self.standing = self.begin()
        self.standing.listening.result(LIMIT_S)
        return {record.id: record.state.value for record in self.told()}

    def told(self) -> list[ExecutionRecord]:
        """Every execution of the store, oldest first, as the controller that runs tells it."""

        async def ask(client: ExecutionClient) -> list[ExecutionRecord]:
            return [(await client.get_status(execution_id))[0] for execution_id in ids]

        ids = list(executions(self.bench))
        return self.ask(ask)

    def left(self) -> list[str]:
        """What is on the machine and does not belong to the one that stands by."""
        return self.bench.left(None if self.standing is None else self.standing.process.pid)

    def rest(self) -> None:
        """Stop the one that stands by, in order."""
        if self.standing is not None:
            standing, self.standing = self.standing, None
            code, _ = standing.ended()
            assert code == 0, standing.stderr

    # -- controllers -----------------------------------------------------------------------------

    def begin(self, failpoint: str = "", work: Work[None] | None = None) -> Served:
        """A controller that does `work` when it listens; without any it stands by until it is told otherwise."""
        arguments = ("serve", "--listen", f"unix:{self._address.path}", "--json")
        served = Served(self.bench.begin(*arguments, failpoint=failpoint).process)
        self._work(served, self._begun(served, work))
        return served

    def ask(self, work: Work[T]) -> T:
        """What `work` gives with the controller that runs. Raises ControllerGoneError: it died of it."""

        async def asked() -> T:
            async with connect(self._address) as client:
                return await work(client)

        return asyncio.run_coroutine_threadsafe(asked(), self._loop).result(LIMIT_S)

    def _driving(self, going: Sequence[str], plan: str, width: int, failpoint: str = "") -> Served:
        async def work(client: ExecutionClient) -> None:
            await self._drive(client, going, plan, width)

        served, self.standing = self.standing, None
        if served is None:
            return self.begin(failpoint, work)
        assert not failpoint, "a controller that stands by has no failpoint"

        async def drive() -> None:
            async with connect(self._address) as client:
                await work(client)

        self._work(served, drive())
        return served

    def _work(self, served: Served, work: Any) -> None:
        served.work = asyncio.run_coroutine_threadsafe(_while_it_lives(served.process.pid, work), self._loop)

    async def _begun(self, served: Served, work: Work[None] | None) -> None:
        stream: IO[bytes] = served.process.stdout  # type: ignore[attr-defined]
        if not await asyncio.to_thread(_said, stream):
            raise _Gone
        served.listening.set_result(None)
        if work is not None:
            async with connect(self._address) as client:
                await work(client)

    async def _drive(self, client: ExecutionClient, going: Sequence[str], plan: str, width: int) -> None:
        """Ask for everything, then follow all of it until it rests."""
        ids = list(going)
        for execution_id in ids:
            await client.resume(execution_id)
        while self.unanswered or len(ids) < width:
            if not self.unanswered:
                self.unanswered.append((str(uuid.uuid4()), plan))
            request_id, text = self.unanswered[0]
            execution_id = await client.start(parse_plan(text), self.bench.project, request_id=request_id)
            self.answered[request_id] = execution_id
            del self.unanswered[0]
            if execution_id not in ids:
                ids.append(execution_id)
                record, _ = await client.get_status(execution_id)
                if record.state.value == "paused":
                    await client.resume(execution_id)
        await asyncio.gather(*(self._follow(client, execution_id) for execution_id in ids))

    async def _follow(self, client: ExecutionClient, execution_id: str) -> None:
        heard = self.heard.setdefault(execution_id, [])

        async def watch() -> None:
            async for told in client.watch(execution_id, heard[-1] if heard else 0):
                heard.extend(event.sequence for event in told.events)

        watching = asyncio.ensure_future(watch())
        try:
            record = await client.wait(execution_id)
            if record.state in ENDED:
                await watching
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def _while_it_lives(pid: int, work: Any) -> None:
    """Do the work. Raises _Gone: the process ended before."""
    gone = asyncio.Event()
    loop, fd = asyncio.get_running_loop(), os.pidfd_open(pid)
    loop.add_reader(fd, gone.set)
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(gone.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not gone.is_set() and isinstance(tasks[0].exception(), ControllerGoneError):
            # Its connections end before it does.
            await asyncio.wait_for(gone.wait(), _DYING_S)
        if gone.is_set():
            raise _Gone
        tasks[0].result()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _said(stream: IO[bytes]) -> bool:
    """Wait for its word that it listens; False when it ends without one. Blocking."""
    text = b""
    while line := stream.readline():
        text += line
        if text.rstrip().endswith(b"}"):
            return bool(json.loads(text)["listening"])
    return False


@contextmanager
def serve_victim(bench: QuickBench) -> Iterator[ServeVictim]:
    """A victim for the block; a controller that still runs is killed."""
    victim = ServeVictim(bench)
    try:
        yield victim
    finally:
        for running in bench.begun:
            running.abandon()
        victim.close()
