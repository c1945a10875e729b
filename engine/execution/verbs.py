"""The verbs on executions, wherever they are driven: by this process (`ExecutionEngine`), or by a controller
(`engine.rpc.remote.RemoteEngine`). The engine's docstrings are the specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from engine.events.bus import EventBus
from engine.execution.control import PauseMode
from engine.execution.decide import Progress
from engine.journal.records import CheckpointRecord, ExecutionRecord
from engine.plan.model import Plan


class Verbs(Protocol):
    """What can be done to executions. `bus` tells what happens to those that were started or resumed here."""

    @property
    def bus(self) -> EventBus: ...

    async def start(
        self,
        plan: Plan,
        workspace: Path,
        *,
        name: str | None = None,
        secrets: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> str: ...

    async def fork(
        self,
        execution_id: str,
        checkpoint: str,
        *,
        plan: Plan | None = None,
        name: str | None = None,
        secrets: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> str: ...

    async def wait(self, execution_id: str) -> ExecutionRecord: ...

    async def resume(self, execution_id: str, secrets: Mapping[str, str] | None = None) -> ExecutionRecord: ...

    async def pause(
        self, execution_id: str, mode: PauseMode = PauseMode.AFTER_STEP, reason: str = "asked for"
    ) -> ExecutionRecord: ...

    async def cancel(self, execution_id: str, reason: str = "asked for") -> ExecutionRecord: ...

    async def get_progress(self, execution_id: str) -> Progress: ...

    async def rollback(self, execution_id: str, to: str | None = None) -> CheckpointRecord: ...

    async def checkpoint(self, execution_id: str, name: str) -> CheckpointRecord: ...
