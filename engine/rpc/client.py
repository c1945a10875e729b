"""The client of a controller: the verbs of `ExecutionEngine` by the same names, over gRPC, with the same errors.

    async with connect(address) as client:
        execution_id = await client.start(plan, workspace)
        async for batch in client.watch(execution_id):
            ...

Losing the connection, or ending a call early, never cancels an execution.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import grpc
from grpc_status import rpc_status

from engine._gen.sandstone.v1 import (
    checkpoint_service_pb2,
    checkpoint_service_pb2_grpc,
    execution_service_pb2,
    execution_service_pb2_grpc,
    inspection_service_pb2,
    inspection_service_pb2_grpc,
)
from engine.checkpoints.apply import ApplyReport
from engine.events.types import Event, OutputChunk
from engine.execution.control import PauseMode
from engine.execution.decide import Progress
from engine.journal.records import CheckpointRecord, ExecutionRecord, StepRecord
from engine.plan.model import Plan, Step
from engine.rpc.address import Address, UnixAddress
from engine.rpc.convert import (
    PAUSE_MODES,
    apply_report,
    checkpoint_record,
    execution_record,
    output_chunk,
    progress_record,
    step_record,
)
from engine.rpc.events import event_of
from engine.rpc.status import CallFailedError, ControllerGoneError, error_of
from engine.rpc.times import to_duration

QUICK: Final = timedelta(seconds=30)
"""Limit of calls that look or begin something."""
SLOW: Final = timedelta(minutes=10)
"""Limit of calls that return when their work is done: cancel, apply, fork, and starting, which may make a volume."""
RESPONSE_BYTES: Final = 64 << 20

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Heard:
    """What a message of the event stream brought. last: ask again after this."""

    events: tuple[Event, ...]
    output: tuple[OutputChunk, ...]
    last: int
    dropped_bytes: int


class ExecutionClient:
    """The verbs, over one channel. Lives on one event loop; made by `connect`.

    Every verb raises what the engine's verb raises, and ControllerGoneError.
    """

    def __init__(self, channel: grpc.aio.Channel, token: str | None = None) -> None:
        executions: Any = execution_service_pb2_grpc.ExecutionServiceStub
        checkpoints: Any = checkpoint_service_pb2_grpc.CheckpointServiceStub
        inspection: Any = inspection_service_pb2_grpc.InspectionServiceStub
        self._executions = executions(channel)
        self._checkpoints = checkpoints(channel)
        self._inspection = inspection(channel)
        self._metadata = () if token is None else (("authorization", f"Bearer {token}"),)

    # -- running ---------------------------------------------------------------------------------

    async def execute_plan(
        self,
        plan: Plan,
        workspace: Path,
        *,
        name: str | None = None,
        secrets: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> ExecutionRecord:
        """`start`, then `wait`."""
        return await self.wait(await self.start(plan, workspace, name=name, secrets=secrets, keep=keep))

    async def start(
        self,
        plan: Plan,
        workspace: Path,
        *,
        name: str | None = None,
        secrets: Mapping[str, str] | None = None,
        keep: bool = False,
        request_id: str | None = None,
    ) -> str:
        """Have the plan accepted; the execution's id. Tried again when the connection breaks, and yet done once."""
        message = execution_service_pb2.ExecutePlanRequest(
            request_id=request_id or str(uuid.uuid4()),
            plan_text=plan.to_json(),
            workspace=await asyncio.to_thread(os.path.abspath, workspace),
            name=name or "",
            secrets=_wanted(plan, secrets),
            keep=keep,
        )
        answer = await self._call(self._executions.ExecutePlan, message, SLOW)
        return str(answer.execution.execution_id)

    async def execute_step(
        self, step: Step, workspace: Path, *, secrets: Mapping[str, str] | None = None
    ) -> tuple[ExecutionRecord, StepRecord]:
        """Run one step alone, as a plan of one."""
        plan = Plan(version=1, name=step.id, secrets=tuple(secrets or ()), steps=(step,))
        record = await self.execute_plan(plan, workspace, secrets=secrets)
        return record, (await self.get_status(record.id))[1][0]

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
        """A second execution from a checkpoint of a first; its id."""
        message = checkpoint_service_pb2.ForkRequest(
            execution_id=execution_id,
            request_id=str(uuid.uuid4()),
            checkpoint_id=checkpoint,
            plan_text="" if plan is None else plan.to_json(),
            name=name or "",
            secrets=dict(secrets or {}),
            keep=keep,
        )
        return str((await self._call(self._checkpoints.Fork, message, SLOW)).execution.execution_id)

    async def wait(self, execution_id: str) -> ExecutionRecord:
        """Return when the execution is neither idle nor running."""
        while True:
            message = inspection_service_pb2.WaitExecutionRequest(execution_id=execution_id, timeout=to_duration(QUICK))
            answer = await self._call(self._inspection.WaitExecution, message, 2 * QUICK)
            record = execution_record(answer.execution)
            if record.state.value not in ("idle", "running"):
                return record

    async def resume(self, execution_id: str, secrets: Mapping[str, str] | None = None) -> ExecutionRecord:
        """Go on with a paused execution; it is running on return, or idle while it waits for its turn."""
        message = execution_service_pb2.ResumeRequest(
            execution_id=execution_id, request_id=str(uuid.uuid4()), secrets=dict(secrets or {})
        )
        return execution_record((await self._call(self._executions.Resume, message, SLOW)).execution)

    # -- control ---------------------------------------------------------------------------------

    async def pause(
        self, execution_id: str, mode: PauseMode = PauseMode.AFTER_STEP, reason: str = "asked for"
    ) -> ExecutionRecord:
        """Pause; with `now` the sandbox is frozen on return."""
        wire: Any = PAUSE_MODES[mode]
        message = execution_service_pb2.PauseRequest(
            execution_id=execution_id, request_id=str(uuid.uuid4()), mode=wire, reason=reason
        )
        return execution_record((await self._call(self._executions.Pause, message)).execution)

    async def cancel(self, execution_id: str, reason: str = "asked for") -> ExecutionRecord:
        """Kill what runs and end the execution; returns when that is done."""
        message = execution_service_pb2.CancelRequest(
            execution_id=execution_id, request_id=str(uuid.uuid4()), reason=reason
        )
        return execution_record((await self._call(self._executions.Cancel, message, SLOW)).execution)

    async def get_progress(self, execution_id: str) -> Progress:
        """How far it is."""
        message = execution_service_pb2.GetProgressRequest(execution_id=execution_id)
        return progress_record((await self._call(self._executions.GetProgress, message)).progress)

    async def get_status(self, execution_id: str) -> tuple[ExecutionRecord, list[StepRecord]]:
        """Its state, and every step's latest outcome."""
        message = execution_service_pb2.GetStatusRequest(execution_id=execution_id)
        answer = await self._call(self._executions.GetStatus, message)
        record = execution_record(answer.execution)
        return record, [step_record(record.id, step) for step in answer.steps]

    async def rollback(self, execution_id: str, to: str | None = None) -> CheckpointRecord:
        """Move the head back; once, also when the connection breaks."""
        message = execution_service_pb2.RollbackRequest(
            execution_id=execution_id, request_id=str(uuid.uuid4()), checkpoint_id=to or ""
        )
        answer = await self._call(self._executions.Rollback, message, SLOW)
        return checkpoint_record(answer.execution.execution_id, answer.checkpoint)

    # -- events ----------------------------------------------------------------------------------

    async def watch(
        self,
        execution_id: str,
        after: int = 0,
        *,
        include_output: bool = False,
        heartbeat: timedelta | None = None,
    ) -> AsyncIterator[Heard]:
        """The event stream until the execution has ended; empty ones are signs of life.

        Raises ControllerGoneError: it broke; ask again after the last one's `last`.
        """
        message = execution_service_pb2.WatchEventsRequest(
            execution_id=execution_id,
            after_sequence=after,
            include_output=include_output,
            heartbeat_interval=to_duration(heartbeat),
        )
        call = self._executions.WatchEvents(message, metadata=self._metadata)
        try:
            async for answer in call:
                yield Heard(
                    tuple(event_of(event) for event in answer.events),
                    tuple(output_chunk(execution_id, chunk) for chunk in answer.output),
                    answer.last_sequence,
                    answer.dropped_output_bytes,
                )
        except grpc.aio.AioRpcError as error:
            raise _error_of(error) from error
        finally:
            call.cancel()

    # -- checkpoints and results -----------------------------------------------------------------

    async def checkpoint(self, execution_id: str, name: str) -> CheckpointRecord:
        """Give the head a name."""
        message = checkpoint_service_pb2.CreateCheckpointRequest(
            execution_id=execution_id, request_id=str(uuid.uuid4()), name=name
        )
        answer = await self._call(self._checkpoints.CreateCheckpoint, message)
        return checkpoint_record(execution_id, answer.checkpoint)

    async def checkpoints(self, execution_id: str) -> list[CheckpointRecord]:
        """All of them, oldest first."""
        found: list[CheckpointRecord] = []
        token = ""
        while True:
            message = checkpoint_service_pb2.ListCheckpointsRequest(execution_id=execution_id, page_token=token)
            answer = await self._call(self._checkpoints.ListCheckpoints, message)
            found += [checkpoint_record(execution_id, each) for each in answer.checkpoints]
            token = answer.next_page_token
            if not token:
                return found

    async def apply(
        self, execution_id: str, *, dry_run: bool = False, force: bool = False, allow: Sequence[str] = ()
    ) -> ApplyReport:
        """Bring the changes into the user's directory, all or nothing."""
        message = checkpoint_service_pb2.ApplyRequest(
            execution_id=execution_id, request_id=str(uuid.uuid4()), dry_run=dry_run, force=force, allow=allow
        )
        return apply_report((await self._call(self._checkpoints.Apply, message, SLOW)).report, dry_run=dry_run)

    async def undo(self, execution_id: str, *, dry_run: bool = False, force: bool = False) -> ApplyReport:
        """Take back the latest apply."""
        message = checkpoint_service_pb2.UndoApplyRequest(
            execution_id=execution_id, request_id=str(uuid.uuid4()), dry_run=dry_run, force=force
        )
        return apply_report((await self._call(self._checkpoints.UndoApply, message, SLOW)).report, dry_run=dry_run)

    # -- inside ----------------------------------------------------------------------------------

    async def _call(self, method: Callable[..., Any], message: Any, limit: timedelta = QUICK) -> Any:
        try:
            return await method(message, timeout=limit.total_seconds(), metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise _error_of(error) from error


def _wanted(plan: Plan, secrets: Mapping[str, str] | None) -> dict[str, str]:
    """Only what the plan names leaves this process."""
    return {name: value for name, value in (secrets or {}).items() if name in plan.secrets}


def _error_of(error: grpc.aio.AioRpcError) -> Exception:
    """What the controller raised; that it is gone; or that it refused the call itself."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    if status is not None:
        return error_of(status)
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return ControllerGoneError(error.details() or "it does not answer")
    return CallFailedError(error.code().name, "", error.details() or "")


@asynccontextmanager
async def connect(
    address: Address, *, token: str | None = None, authority: bytes | None = None
) -> AsyncIterator[ExecutionClient]:
    """A client for the block. token and authority (PEM, who signed the controller's certificate): for a port."""
    options = [
        ("grpc.max_receive_message_length", RESPONSE_BYTES),
        ("grpc.default_authority", "localhost"),
        ("grpc.service_config", _RETRIES),
        # Or a new client would inherit how long an older one waits before it tries a dead controller's socket again.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]
    if isinstance(address, UnixAddress):
        channel = grpc.aio.insecure_channel(f"unix:{address.path}", options)
    else:
        credentials = grpc.ssl_channel_credentials(root_certificates=authority)
        options = [option for option in options if option[0] != "grpc.default_authority"]
        channel = grpc.aio.secure_channel(str(address), credentials, options)
    async with channel:
        yield ExecutionClient(channel, token)


_RETRIES: Final = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "sandstone.v1.ExecutionService"}, {"service": "sandstone.v1.CheckpointService"}],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.2s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)
"""Calls that change something carry a request id, so that trying again does them once."""
