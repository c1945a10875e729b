"""Pause and cancel as they reach one running execution: what is wished, and what it does to what runs now.

The verbs set wishes here. The driver comes by at *holds*, places where a pause takes effect: between steps, between
attempts, before and after a sandbox. A pause `now` also freezes the sandbox that runs, so that the driver, which
waits for it, stands still wherever it is. `stopping` ends the attempt under way without a trace: because the
execution was cancelled, or because a frozen attempt is to be given up. Lives on one event loop; nothing here blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any, Final, TypeVar

from engine.clock import Clock
from sandbox.errors import SandboxUnavailableError
from sandbox.sandbox import Sandbox

_PATIENCE: Final = 0.3
"""Seconds that a stop waits for work it has cancelled; what takes longer is finished in the background."""

T = TypeVar("T")


class PauseMode(StrEnum):
    """now: freeze the running sandbox, its limits' clocks stop. after_step: let the running step end first."""

    NOW = "now"
    AFTER_STEP = "after_step"


class Rest(Enum):
    """Whether what the driver does at the moment can be held as it stands.

    no: it is writing something down, and comes to a hold soon. now: it waits for a sandbox; only a pause `now` stops
    that. any: it waits for time to pass, or at a hold; every pause stops that.
    """

    NO = "no"
    NOW = "now"
    ANY = "any"


class StoppedError(Exception):
    """What was to be done was given up: the execution was cancelled, or its attempt is to leave no trace."""


class RunControl:
    """The wishes about one execution and the sandboxes that run for it now.

    on_hold: called when the driver comes to a hold at which a pause takes effect. parked: the driver waits between
    steps. quitting: nothing more is to be begun. orphans: what a stop left to end by itself. broken: why the execution
    cannot go on.
    """

    def __init__(self) -> None:
        self.on_hold: Callable[[], Awaitable[None]] = _nothing
        self.cancel_reason = ""
        self.pause_reason = ""
        self.orphans: set[asyncio.Future[Any]] = set()
        self.parked = asyncio.Event()
        self.broken: Exception | None = None
        self._wish: PauseMode | None = None
        self._go = asyncio.Event()
        self._go.set()
        self._halt = asyncio.Event()
        self._cancelled = asyncio.Event()
        self._stopping = asyncio.Event()
        self._leaving = asyncio.Event()
        self.quitting = asyncio.Event()
        self._rest = Rest.NO
        self._sandboxes: list[Sandbox] = []

    # -- what is wished --------------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def leaving(self) -> bool:
        """The driver is to go away and leave the execution as it is."""
        return self._leaving.is_set()

    @property
    def stopping(self) -> bool:
        """The attempt under way is to end without a trace."""
        return self._stopping.is_set()

    async def until_stopping(self) -> None:
        """Return when the attempt under way is to end without a trace."""
        await self._stopping.wait()

    @property
    def ending(self) -> bool:
        """Nothing more is to be begun."""
        return self.quitting.is_set()

    @property
    def wish(self) -> PauseMode | None:
        """The pause that is wished for; None: go on."""
        return self._wish

    @property
    def sandboxes(self) -> tuple[Sandbox, ...]:
        """Those that run, or are about to."""
        return tuple(self._sandboxes)

    def holds(self, mode: PauseMode) -> bool:
        """Whether a pause of this mode finds the driver at rest."""
        return self._rest is Rest.ANY or (mode is PauseMode.NOW and self._rest is Rest.NOW)

    async def cancel(self, reason: str) -> None:
        """Kill what runs; the driver goes through every hold and ends the execution. Idempotent."""
        if not self._cancelled.is_set():
            self.cancel_reason = reason
            self._cancelled.set()
        self.quitting.set()
        await self.stop_attempt()

    async def stop_attempt(self) -> None:
        """Kill what runs and have the attempt leave no trace; the driver goes through holds within it."""
        self._stopping.set()
        self._go.set()
        for sandbox in self.sandboxes:
            await sandbox.kill()

    async def leave(self, reason: str) -> None:
        """Like a cancel, but the execution is left paused, for `reason` unless it is already."""
        self.pause_reason = reason
        self._leaving.set()
        self.quitting.set()
        await self.stop_attempt()

    async def give_up(self, error: Exception) -> None:
        """Something broke that the execution cannot go on without: the driver raises `error`."""
        self.broken = error
        self.quitting.set()
        await self.stop_attempt()

    def hold(self, mode: PauseMode, reason: str) -> None:
        """Wish for a pause; a wish for `now` is never weakened."""
        self.pause_reason = reason
        if self._wish is not PauseMode.NOW:
            self._wish = mode
        self._go.clear()
        self._halt.set()

    async def freeze(self) -> None:
        """Freeze what runs; it is frozen on return.

        Raises SandboxUnavailableError: it cannot be frozen; then all of it goes on.
        """
        try:
            for sandbox in self.sandboxes:
                await sandbox.freeze()
        except SandboxUnavailableError:
            await self.proceed()
            raise

    async def proceed(self) -> None:
        """Take the pause back and thaw what was frozen. Idempotent.

        A sandbox that cannot be thawed is lost: its attempt leaves no trace and is made again.
        """
        self._wish = None
        self._halt.clear()
        self._go.set()
        try:
            for sandbox in self.sandboxes:
                await sandbox.thaw()
        except SandboxUnavailableError:
            await self.stop_attempt()

    # -- the driver's side -----------------------------------------------------------------------

    def begin_step(self) -> None:
        """An attempt that was to leave no trace has left none; what follows is not meant by that."""
        if not self.ending:
            self._stopping.clear()

    async def come_by(self, *, between_steps: bool = False, between_attempts: bool = False) -> None:
        """A hold: returns when no pause is wished for that takes effect here, or the attempt is to end."""
        anything = between_steps or between_attempts
        while self._held(anything) and not self.ending:
            if self.stopping and not between_steps:
                return
            self._go.clear()
            with self.resting(Rest.ANY):
                if between_steps:
                    self.parked.set()
                await self.on_hold()
                if self._held(anything) and not self.ending:
                    await self._go.wait()
            self.parked.clear()

    def _held(self, anything: bool) -> bool:
        return self._wish is PauseMode.NOW or (anything and self._wish is not None)

    @contextmanager
    def resting(self, rest: Rest) -> Iterator[None]:
        """What the block does can be held as it stands by the pauses that `rest` says."""
        before, self._rest = self._rest, rest
        try:
            yield
        finally:
            self._rest = before

    def admit(self, sandbox: Sandbox) -> None:
        """A sandbox is about to run. Raises StoppedError: close it unused."""
        if self.stopping:
            raise StoppedError
        self._sandboxes.append(sandbox)

    def dismiss(self, sandbox: Sandbox) -> None:
        """The sandbox has ended."""
        if sandbox in self._sandboxes:
            self._sandboxes.remove(sandbox)

    async def unless_stopped(
        self, work: Coroutine[Any, Any, T], discard: Callable[[T], Awaitable[None]] | None = None
    ) -> T:
        """The result of `work`, which is cancelled when the attempt is to end.

        discard: gets rid of a result that comes too late. Work that does not end when it is cancelled (an engine
        that does not answer) is left to end by itself, as one of `orphans`.

        Raises StoppedError.
        """
        if self.stopping:
            work.close()
            raise StoppedError
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            await asyncio.wait({self._orphan(task, discard)}, timeout=_PATIENCE)
            raise StoppedError
        except asyncio.CancelledError:
            self._orphan(task, discard)
            raise
        finally:
            stop.cancel()

    def _orphan(self, task: asyncio.Future[T], discard: Callable[[T], Awaitable[None]] | None) -> asyncio.Future[None]:
        async def end() -> None:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and task.exception() is None and discard is not None:
                await discard(task.result())

        ending = asyncio.ensure_future(end())
        self.orphans.add(ending)
        ending.add_done_callback(self.orphans.discard)
        return ending

    async def sleep(self, clock: Clock, span: timedelta) -> None:
        """Wait for `span`, paused time not counted, but no longer than until the attempt is to end."""
        left = span
        while left > timedelta(0) and not self.stopping:
            await self.come_by(between_attempts=True)
            began = clock.monotonic()
            with self.resting(Rest.ANY):
                await _first(clock.sleep(left), self._stopping.wait(), self._halt.wait())
            left -= timedelta(seconds=clock.monotonic() - began)
        await self.come_by(between_attempts=True)


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Return when one of them has ended; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _nothing() -> None:
    return
