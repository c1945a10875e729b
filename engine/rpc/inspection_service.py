"""InspectionService: what the controller is, which executions there are, what their steps printed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from engine._gen.sandstone.v1 import execution_service_pb2 as service_pb
from engine._gen.sandstone.v1 import inspection_service_pb2 as pb
from engine._gen.sandstone.v1 import inspection_service_pb2_grpc as service_grpc
from engine.events.types import OutputChunk
from engine.journal.records import ExecutionRecord
from engine.journal.states import ExecutionState
from engine.rpc.answering import Context, streaming, unary
from engine.rpc.backend import Backend, ServerOptions
from engine.rpc.convert import STREAMS, execution_message, member_of, output_message
from engine.rpc.paging import page_of, size_of, start_of
from engine.rpc.status import BadFieldError
from engine.rpc.times import to_timedelta, to_timestamp
from engine.rpc.watch import Watch
from sandbox.spec import Stream

EXECUTIONS_AT_ONCE: Final = 50
DEFAULT_WAIT: Final = timedelta(seconds=60)
LONGEST_WAIT: Final = timedelta(hours=1)
CHUNK_BYTES: Final = 64 << 10
_ACTIVE: Final = frozenset({ExecutionState.IDLE, ExecutionState.RUNNING})


class InspectionService(service_grpc.InspectionServiceServicer):
    def __init__(self, backend: Backend, watch: Watch, options: ServerOptions) -> None:
        self._backend = backend
        self._watch = watch
        self._options = options

    @unary
    async def GetServerInfo(self, request: pb.GetServerInfoRequest, context: Context) -> pb.GetServerInfoResponse:
        identity, load, options = self._backend.identity, self._backend.engine.load, self._options
        return pb.GetServerInfoResponse(
            version=identity.version,
            api_versions=["sandstone.v1"],
            instance_id=identity.instance_id,
            store_id=identity.store_id,
            process_id=identity.process_id,
            start_time=to_timestamp(identity.start_time),
            limits=pb.ServerLimits(
                running_execution_count=load.max_running,
                queued_execution_count=load.max_queued,
                request_bytes=options.request_bytes,
                watcher_count=options.watchers,
                calls_per_second=options.calls_per_second,
            ),
            checks=identity.checks,
            running_execution_count=load.running,
            queued_execution_count=load.queued,
        )

    @unary
    async def ListExecutions(self, request: pb.ListExecutionsRequest, context: Context) -> pb.ListExecutionsResponse:
        size = size_of(request.page_size, EXECUTIONS_AT_ONCE)
        start = start_of(request.page_token)
        found = await self._backend.blocking(self._backend.journal.executions, start + size + 1)
        page, token = page_of(found, size, request.page_token, EXECUTIONS_AT_ONCE)
        return pb.ListExecutionsResponse(executions=[execution_message(each) for each in page], next_page_token=token)

    @unary
    async def WaitExecution(self, request: pb.WaitExecutionRequest, context: Context) -> pb.WaitExecutionResponse:
        timeout = to_timedelta(request.timeout) or DEFAULT_WAIT
        if not timedelta(0) < timeout <= LONGEST_WAIT:
            raise BadFieldError("timeout", "up to 1 h")
        record = await self._backend.find(request.execution_id)
        return pb.WaitExecutionResponse(execution=execution_message(await self._rest(record, timeout)))

    async def _rest(self, record: ExecutionRecord, longest: timedelta) -> ExecutionRecord:
        """The execution when it has come to rest, or as it is when the time is up."""
        clock = self._backend.clock
        end = clock.monotonic() + longest.total_seconds()
        batches = self._watch.batches(record.id, record.last_sequence, include_output=False, heartbeat=longest)
        async for batch in batches:
            record = await self._backend.execution(record.id)
            if record.state not in _ACTIVE or batch.empty or clock.monotonic() >= end:
                break
        return await self._backend.execution(record.id)

    @streaming
    async def ReadLogs(self, request: pb.ReadLogsRequest, context: Context) -> AsyncIterator[pb.ReadLogsResponse]:
        record = await self._backend.find(request.execution_id)
        wanted = _stream(request.stream)
        results = self._backend.results
        files = await self._backend.blocking(lambda: list(results.logs(record.id, request.step_id or None)))
        for step_id, attempt, stream, path in files:
            if request.attempt in (0, attempt) and wanted in (None, stream):
                async for data in self._chunks(path):
                    chunk = OutputChunk(record.id, step_id, attempt, stream, data)
                    yield pb.ReadLogsResponse(chunk=output_message(chunk))

    async def _chunks(self, path: Path) -> AsyncIterator[bytes]:
        """A log file, piece by piece; nothing when it was collected meanwhile."""
        blocking = self._backend.blocking
        try:
            fd = await blocking(os.open, path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        try:
            while data := await blocking(os.read, fd, CHUNK_BYTES):
                yield data
        finally:
            await blocking(os.close, fd)


def _stream(value: int) -> Stream | None:
    if value == service_pb.OUTPUT_STREAM_UNSPECIFIED:
        return None
    try:
        return member_of(STREAMS, value)
    except ValueError as error:
        raise BadFieldError("stream", str(error)) from error
