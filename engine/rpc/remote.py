"""A live controller's engine as a command of the same machine uses it: verbs go over the socket, what happens comes
back to a bus of this process, and records are read from the journal, which both have open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.checkpoints.apply import ApplyReport
from engine.checkpoints.results import Results
from engine.events.bus import EventBus
from engine.execution.attempt import Blocking
from engine.execution.control import PauseMode
from engine.execution.decide import Progress
from engine.journal.journal import Journal
from engine.journal.records import CheckpointRecord, ExecutionRecord
from engine.plan.model import Plan
from engine.rpc.client import ExecutionClient


class RemoteEngine:
    """`Verbs` over a client. Follows what it starts; `close` ends that and leaves the executions alone."""

    def __init__(self, client: ExecutionClient, journal: Journal, blocking: Blocking) -> None:
        self._client = client
        self._journal = journal
        self._blocking = blocking
        self._bus = EventBus()
        self._following: dict[str, asyncio.Task[None]] = {}

    @property
    def bus(self) -> EventBus:
        return self._bus

    async def start(
        self,
        plan: Plan,
        workspace: Path,
        *,
        name: str | None = None,
        secrets: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> str:
        return self._follow(await self._client.start(plan, workspace, name=name, secrets=secrets, keep=keep), 0)

    async def fork(
        self,
        execution_id: str,
        checkpoint: str,
        *,
        plan: Plan | None = None,
        name: str | None = None,
        secrets: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> str:
        made = await self._client.fork(execution_id, checkpoint, plan=plan, name=name, secrets=secrets, keep=keep)
        return self._follow(made, 0)

    async def wait(self, execution_id: str) -> ExecutionRecord:
        """Return when the execution has ended. Raises ControllerGoneError: nobody drives it any more."""
        following = self._following.get(execution_id)
        if following is not None:
            await asyncio.shield(following)
        return await self._blocking(self._journal.execution, execution_id)

    async def resume(self, execution_id: str, secrets: Mapping[str, str] | None = None) -> ExecutionRecord:
        before = await self._blocking(self._journal.execution, execution_id)
        record = await self._client.resume(execution_id, secrets)
        self._follow(execution_id, before.last_sequence)
        return record

    async def pause(
        self, execution_id: str, mode: PauseMode = PauseMode.AFTER_STEP, reason: str = "asked for"
    ) -> ExecutionRecord:
        return await self._client.pause(execution_id, mode, reason)

    async def cancel(self, execution_id: str, reason: str = "asked for") -> ExecutionRecord:
        return await self._client.cancel(execution_id, reason)

    async def get_progress(self, execution_id: str) -> Progress:
        return await self._client.get_progress(execution_id)

    async def rollback(self, execution_id: str, to: str | None = None) -> CheckpointRecord:
        return await self._read(execution_id, await self._client.rollback(execution_id, to))

    async def checkpoint(self, execution_id: str, name: str) -> CheckpointRecord:
        return await self._read(execution_id, await self._client.checkpoint(execution_id, name))

    async def close(self) -> None:
        """Stop following."""
        for task in self._following.values():
            task.cancel()
        await asyncio.gather(*self._following.values(), return_exceptions=True)

    async def _read(self, execution_id: str, made: CheckpointRecord) -> CheckpointRecord:
        """The checkpoint with all that the journal has of it."""
        return await self._blocking(self._journal.checkpoint, execution_id, made.id)

    def _follow(self, execution_id: str, after: int) -> str:
        self._following[execution_id] = asyncio.create_task(self._publish(execution_id, after))
        return execution_id

    async def _publish(self, execution_id: str, after: int) -> None:
        """Bring what the controller tells to the bus until the execution has ended."""
        async for heard in self._client.watch(execution_id, after, include_output=True):
            for event in heard.events:
                self._bus.publish(event)
            for chunk in heard.output:
                self._bus.publish(chunk)


class RemoteResults:
    """`Results`, of which what changes the user's directory is done by the controller, which holds the locks."""

    def __init__(self, results: Results, client: ExecutionClient) -> None:
        self._client = client
        self.changes = results.changes
        self.using = results.using
        self.logs = results.logs

    async def apply(
        self, execution_id: str, *, dry_run: bool = False, force: bool = False, allow: Sequence[str] = ()
    ) -> ApplyReport:
        return await self._client.apply(execution_id, dry_run=dry_run, force=force, allow=allow)

    async def undo(self, execution_id: str, *, dry_run: bool = False, force: bool = False) -> ApplyReport:
        return await self._client.undo(execution_id, dry_run=dry_run, force=force)
