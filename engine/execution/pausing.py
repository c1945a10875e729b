"""Pauses of live executions, from the wish to the journal and back, and the turns that they wait for.

An execution is `paused` in the journal from the moment at which nothing of it moves: its sandbox is frozen, or its
driver is at a hold. Then it gives its place in the queue back. It goes on when its turn has come: first the journal
says so, then what was frozen is thawed. Whoever changes the state of a run holds `run.verbs`.
"""

from __future__ import annotations

import asyncio
from typing import Final

from engine.errors import WrongStateError
from engine.execution.control import PauseMode, StoppedError
from engine.execution.expected import EXPECT_AHEAD, upcoming_specs
from engine.execution.queue import ExecutionQueue, Place
from engine.execution.recording import RunRecorder
from engine.execution.run import Run
from engine.journal.states import ENDED, ExecutionState
from sandbox.sandbox import SandboxProvider

WAITS_FOR_TURN: Final = "waits for its turn"


class PauseKeeper:
    """Carries out pause and resume. Lives on one event loop."""

    def __init__(self, recorder: RunRecorder, queue: ExecutionQueue, provider: SandboxProvider) -> None:
        self._recorder = recorder
        self._queue = queue
        self._provider = provider
        self._turns: set[asyncio.Task[None]] = set()

    def adopt(self, run: Run) -> None:
        """A run is about to be driven: its driver waits at the first hold until `begin` or `resume` lets it go."""
        run.control.on_hold = lambda: self._at_hold(run)
        run.control.hold(PauseMode.AFTER_STEP, run.record.reason or WAITS_FOR_TURN)

    async def begin(self, run: Run, place: Place) -> None:
        """Let a run that has never been driven go, as soon as it is its turn."""
        async with run.verbs:
            if run.record.state is ExecutionState.IDLE and run.place is None and not run.control.ending:
                await self._take(run, place, resumed=False)

    async def pause(self, run: Run, mode: PauseMode, reason: str) -> None:
        """See `ExecutionEngine.pause`."""
        async with run.verbs:
            if run.control.cancelled or run.record.state is ExecutionState.PAUSED:
                return
            _refuse_ended("pause", run)
            run.answered.clear()
            run.control.hold(mode, reason)
            if run.record.state is ExecutionState.IDLE:
                await self._record(run)
                return
            if mode is PauseMode.NOW:
                await self._freeze(run)
            if run.control.wish is not None and run.control.holds(run.control.wish):
                await self._record(run)
        if mode is PauseMode.NOW and not run.setting_up:
            # What moves is at most the writing down of an attempt's end: the driver comes to a hold right after it.
            await _first(run.answered, run.ended)

    async def resume(self, run: Run) -> None:
        """See `ExecutionEngine.resume`."""
        async with run.verbs:
            if run.record.state is ExecutionState.PAUSED:
                place = self._queue.enter(run.id, run.record.workspace, resumed=True)
                await self._take(run, place, resumed=True)
            elif run.record.state is ExecutionState.RUNNING and run.control.wish is not None:
                await run.control.proceed()
                run.answered.set()
            else:
                raise WrongStateError("resume", run.id, run.record.state.value, [ExecutionState.PAUSED.value])

    async def stand_still(self, run: Run) -> None:
        """Have a paused run wait between steps: an attempt that is frozen is killed and leaves no trace.

        The caller holds `run.verbs`, which the driver needs for whatever it does about a cancel.

        Raises WrongStateError: it is being cancelled instead.
        """
        if not run.control.parked.is_set():
            await run.control.stop_attempt()
            await _first(run.control.parked, run.control.quitting, run.ended)
        if run.control.ending or run.ended.is_set():
            raise WrongStateError("roll back", run.id, "coming to its end", [run.record.state.value])

    async def drain(self) -> None:
        """Wait until nothing waits for a turn any more; the runs have ended."""
        if self._turns:
            await asyncio.wait(self._turns)

    # -- inside ----------------------------------------------------------------------------------

    async def _freeze(self, run: Run) -> None:
        try:
            await run.control.unless_stopped(run.control.freeze())
        except StoppedError:
            return  # cancelled meanwhile: what it was about is dead

    async def _at_hold(self, run: Run) -> None:
        """The driver has come to a hold at which the wished pause takes effect, or is leaving."""
        if not await _lock_unless_stopped(run):
            return
        try:
            control, state = run.control, run.record.state
            # The wish may have been taken back while the lock was waited for.
            wished = state is ExecutionState.RUNNING and control.wish is not None
            leaves = state in (ExecutionState.RUNNING, ExecutionState.IDLE) and control.leaving
            if (wished or leaves) and not control.cancelled:
                await self._record(run)
        finally:
            run.verbs.release()

    async def _record(self, run: Run) -> None:
        """It is paused from now on."""
        await self._recorder.paused(run, run.control.wish or PauseMode.NOW, run.control.pause_reason)
        self._give_place_back(run)
        run.answered.set()

    def _give_place_back(self, run: Run) -> None:
        run.place = None
        self._queue.leave(run.id)
        self._provider.expect(run.id, ())

    async def _take(self, run: Run, place: Place, *, resumed: bool) -> None:
        """Go on now, or when it is the run's turn."""
        run.place = place
        try:
            if place.granted:
                await self._go_on(run, resumed)
                return
            position = self._queue.position(run.id)
            if resumed and position is not None:
                await self._recorder.queued(run, position)
        except BaseException:
            self._give_place_back(run)
            raise
        task = asyncio.create_task(self._await_turn(run, place, resumed), name=f"turn of {run.id}")
        self._turns.add(task)
        task.add_done_callback(self._turns.discard)

    async def _await_turn(self, run: Run, place: Place, resumed: bool) -> None:
        if not await place.turn():
            return
        async with run.verbs:
            if run.place is not place or run.control.ending:
                return
            try:
                await self._go_on(run, resumed)
            except Exception as error:  # noqa: BLE001 - raised again by the driver, whose task ends the execution
                await run.control.give_up(error)

    async def _go_on(self, run: Run, resumed: bool) -> None:
        """The journal first, then the thaw."""
        await self._recorder.going(run, resumed)
        after = run.current.index if run.current is not None else -1
        self._provider.expect(run.id, upcoming_specs(run, after)[:EXPECT_AHEAD])
        run.answered.set()
        await run.control.proceed()


def _refuse_ended(verb: str, run: Run) -> None:
    if run.record.state in ENDED or run.ended.is_set():
        allowed = sorted(state.value for state in ExecutionState if state not in ENDED)
        raise WrongStateError(verb, run.id, run.record.state.value, allowed)


async def _lock_unless_stopped(run: Run) -> bool:
    """Take `run.verbs`, but within a step give up when its attempt is to end: who has the lock may wait for that."""
    control = run.control
    if control.parked.is_set() or control.leaving:
        return await run.verbs.acquire()
    taking = asyncio.ensure_future(run.verbs.acquire())
    stopping = asyncio.ensure_future(control.until_stopping())
    try:
        await asyncio.wait({taking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        # One that is not done has not taken it, and a cancelled one does not.
        return taking.done() or not taking.cancel()
    finally:
        stopping.cancel()


async def _first(*events: asyncio.Event) -> None:
    """Return when one of them is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
