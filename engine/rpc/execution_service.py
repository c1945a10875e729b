"""ExecutionService: convert, call the engine, convert. Decides nothing but what a request means."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from google.protobuf.message import Message

from engine._gen.sandstone.v1 import execution_pb2 as pb
from engine._gen.sandstone.v1 import execution_service_pb2 as service_pb
from engine._gen.sandstone.v1 import execution_service_pb2_grpc as service_grpc
from engine.execution.control import PauseMode
from engine.journal.records import Request, RequestRecord
from engine.rpc.answering import Context, streaming, unary
from engine.rpc.backend import Backend
from engine.rpc.convert import (
    PAUSE_MODES,
    checkpoint_message,
    execution_message,
    member_of,
    output_message,
    progress_message,
    step_message,
)
from engine.rpc.events import EventMessages
from engine.rpc.plans import requested_plan
from engine.rpc.requests import Requests
from engine.rpc.status import BadFieldError, SequenceTooHighError, StoppingError
from engine.rpc.times import to_timedelta
from engine.rpc.turnstile import Turnstile
from engine.rpc.watch import Batch, Watch

HEARTBEAT: Final = timedelta(seconds=15)
SHORTEST_HEARTBEAT: Final = timedelta(seconds=1)
LONGEST_HEARTBEAT: Final = timedelta(hours=1)
ASKED_FOR: Final = "asked for"
MAX_NAME: Final = 200
MAX_REASON: Final = 1000
MAX_PATH: Final = 4096


class ExecutionService(service_grpc.ExecutionServiceServicer):
    """`accepting` says whether anything new is taken; it is not any more when the controller stops."""

    def __init__(self, backend: Backend, requests: Requests, watch: Watch, watchers: Turnstile) -> None:
        self._backend = backend
        self._requests = requests
        self._watch = watch
        self._watchers = watchers
        self._messages = EventMessages()
        self.accepting = True

    @unary
    async def ExecutePlan(
        self, request: service_pb.ExecutePlanRequest, context: Context
    ) -> service_pb.ExecutePlanResponse:
        self._check_accepting()
        plan = await self._backend.blocking(requested_plan, request)
        workspace = absolute(request.workspace)
        check_text("name", request.name, MAX_NAME)
        if request.validate_only:
            return service_pb.ExecutePlanResponse()

        async def do(asked: Request | None) -> service_pb.ExecutePlanResponse:
            execution_id = await self._backend.engine.start(
                plan,
                workspace,
                name=request.name or None,
                secrets=dict(request.secrets),
                keep=request.keep,
                request=asked,
            )
            return service_pb.ExecutePlanResponse(execution=await self._execution(execution_id))

        async def again(known: RequestRecord) -> service_pb.ExecutePlanResponse:
            return service_pb.ExecutePlanResponse(execution=await self._execution(known.execution_id))

        return await self._requests.once(request, do, again)

    @unary
    async def Pause(self, request: service_pb.PauseRequest, context: Context) -> service_pb.PauseResponse:
        record = await self._backend.find(request.execution_id)
        check_text("reason", request.reason, MAX_REASON)
        mode = _pause_mode(request.mode)

        async def act() -> None:
            await self._backend.engine.pause(record.id, mode, request.reason or ASKED_FOR)

        return service_pb.PauseResponse(execution=await self._once(request, record.id, act))

    @unary
    async def Resume(self, request: service_pb.ResumeRequest, context: Context) -> service_pb.ResumeResponse:
        self._check_accepting()
        record = await self._backend.find(request.execution_id)

        async def act() -> None:
            await self._backend.engine.resume(record.id, dict(request.secrets))

        return service_pb.ResumeResponse(execution=await self._once(request, record.id, act))

    @unary
    async def Cancel(self, request: service_pb.CancelRequest, context: Context) -> service_pb.CancelResponse:
        record = await self._backend.find(request.execution_id)
        check_text("reason", request.reason, MAX_REASON)

        async def act() -> None:
            await self._backend.engine.cancel(record.id, request.reason or ASKED_FOR)

        return service_pb.CancelResponse(execution=await self._once(request, record.id, act))

    @unary
    async def GetProgress(
        self, request: service_pb.GetProgressRequest, context: Context
    ) -> service_pb.GetProgressResponse:
        progress = await self._backend.progress(request.execution_id)
        return service_pb.GetProgressResponse(progress=progress_message(progress))

    @unary
    async def GetStatus(self, request: service_pb.GetStatusRequest, context: Context) -> service_pb.GetStatusResponse:
        record, steps = await self._backend.status(request.execution_id)
        return service_pb.GetStatusResponse(
            execution=execution_message(record), steps=[step_message(step) for step in steps]
        )

    @unary
    async def Rollback(self, request: service_pb.RollbackRequest, context: Context) -> service_pb.RollbackResponse:
        record = await self._backend.find(request.execution_id)

        async def do(asked: Request | None) -> service_pb.RollbackResponse:
            await self._backend.engine.rollback(record.id, request.checkpoint_id or None, request=asked)
            return await self._rolled_back(record.id)

        async def again(known: RequestRecord) -> service_pb.RollbackResponse:
            return await self._rolled_back(known.execution_id)

        return await self._requests.once(request, do, again)

    @streaming
    async def WatchEvents(
        self, request: service_pb.WatchEventsRequest, context: Context
    ) -> AsyncIterator[service_pb.WatchEventsResponse]:
        record = await self._backend.find(request.execution_id)
        if not 0 <= request.after_sequence <= record.last_sequence:
            raise SequenceTooHighError(record.id, request.after_sequence, record.last_sequence)
        heartbeat = HEARTBEAT
        if request.HasField("heartbeat_interval"):
            heartbeat = to_timedelta(request.heartbeat_interval)
            if not SHORTEST_HEARTBEAT <= heartbeat <= LONGEST_HEARTBEAT:
                raise BadFieldError("heartbeat_interval", "from 1 s to 1 h")
        with self._watchers.passing():
            async for batch in self._watch.batches(
                record.id, request.after_sequence, include_output=request.include_output, heartbeat=heartbeat
            ):
                yield self._response(batch)
            if not self.accepting:
                raise StoppingError

    # -- inside ----------------------------------------------------------------------------------

    async def _once(self, request: Message, execution_id: str, act: Callable[[], Awaitable[None]]) -> pb.Execution:
        """A verb that does no harm when it is done twice, remembered when it has been done; the execution after it."""

        async def do(asked: Request | None) -> pb.Execution:
            await act()
            await self._backend.remember(asked, execution_id)
            return await self._execution(execution_id)

        async def again(known: RequestRecord) -> pb.Execution:
            return await self._execution(known.execution_id)

        return await self._requests.once(request, do, again)

    def _check_accepting(self) -> None:
        if not self.accepting:
            raise StoppingError

    def _response(self, batch: Batch) -> service_pb.WatchEventsResponse:
        return service_pb.WatchEventsResponse(
            events=[self._messages.of(event) for event in batch.events],
            output=[output_message(chunk) for chunk in batch.output],
            last_sequence=batch.last,
            dropped_output_bytes=batch.dropped_bytes,
        )

    async def _execution(self, execution_id: str) -> pb.Execution:
        return execution_message(await self._backend.execution(execution_id))

    async def _rolled_back(self, execution_id: str) -> service_pb.RollbackResponse:
        record = await self._backend.execution(execution_id)
        head = await self._backend.blocking(self._backend.journal.checkpoint, record.id, record.head)
        return service_pb.RollbackResponse(execution=execution_message(record), checkpoint=checkpoint_message(head))


def _pause_mode(value: int) -> PauseMode:
    if value == service_pb.PAUSE_MODE_UNSPECIFIED:
        return PauseMode.NOW
    try:
        return member_of(PAUSE_MODES, value)
    except ValueError as error:
        raise BadFieldError("mode", str(error)) from error


def absolute(path: str) -> Path:
    """A directory of the controller's machine. Raises BadFieldError."""
    if not path.startswith("/") or "\0" in path or len(path.encode()) > MAX_PATH:
        raise BadFieldError("workspace", "an absolute path of the controller's machine, at most 4,096 bytes")
    return Path(path)


def check_text(field: str, text: str, limit: int) -> None:
    """Raises BadFieldError: too long, or with characters that cannot be shown."""
    if len(text) > limit or not all(character.isprintable() for character in text):
        raise BadFieldError(field, f"at most {limit} printable characters")
