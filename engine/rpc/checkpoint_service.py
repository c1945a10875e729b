"""CheckpointService: convert, call the engine or its results, convert. Streams are cut into messages here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from typing import IO, Any, Final

from engine._gen.sandstone.v1 import checkpoint_service_pb2 as pb
from engine._gen.sandstone.v1 import checkpoint_service_pb2_grpc as service_grpc
from engine.checkpoints.apply import ApplyReport
from engine.checkpoints.export import write_tar
from engine.checkpoints.patch import LeftOut, write_patch
from engine.checkpoints.render import DiffStat, render, summarize
from engine.checkpoints.results import Comparison
from engine.journal.records import Request, RequestRecord
from engine.plan.parse import parse_plan
from engine.rpc.answering import Context, streaming, unary
from engine.rpc.backend import Backend
from engine.rpc.convert import (
    change_message,
    checkpoint_message,
    execution_message,
    note_message,
    report_message,
)
from engine.rpc.execution_service import MAX_NAME, check_text
from engine.rpc.paging import page_of
from engine.rpc.requests import Requests
from engine.rpc.status import BadFieldError, StoppingError
from sandbox.workspace.changes import Change

CHUNK_BYTES: Final = 64 << 10
CHANGES_AT_ONCE: Final = 200
CHECKPOINTS_AT_ONCE: Final = 1000
MAX_ALLOWED: Final = 1000

_WRITERS: Final[dict[int, Callable[[Comparison, Any], list[LeftOut]]]] = {
    pb.EXPORT_FORMAT_UNSPECIFIED: lambda found, out: write_patch(found.changes, found.old, found.new, out),
    pb.EXPORT_FORMAT_PATCH: lambda found, out: write_patch(found.changes, found.old, found.new, out),
    pb.EXPORT_FORMAT_TAR: lambda found, out: write_tar(found.changes, found.new, out),
}


class CheckpointService(service_grpc.CheckpointServiceServicer):
    """`accepting` says whether anything new is taken."""

    def __init__(self, backend: Backend, requests: Requests) -> None:
        self._backend = backend
        self._requests = requests
        self.accepting = True

    @unary
    async def ListCheckpoints(self, request: pb.ListCheckpointsRequest, context: Context) -> pb.ListCheckpointsResponse:
        record = await self._backend.find(request.execution_id)
        found = await self._backend.blocking(self._backend.journal.checkpoints, record.id)
        page, token = page_of(found, request.page_size, request.page_token, default=CHECKPOINTS_AT_ONCE)
        return pb.ListCheckpointsResponse(
            checkpoints=[checkpoint_message(each) for each in page],
            head_checkpoint_id=record.head,
            next_page_token=token,
        )

    @unary
    async def CreateCheckpoint(
        self, request: pb.CreateCheckpointRequest, context: Context
    ) -> pb.CreateCheckpointResponse:
        record = await self._backend.find(request.execution_id)

        async def do(asked: Request | None) -> pb.CreateCheckpointResponse:
            made = await self._backend.engine.checkpoint(record.id, request.name, request=asked)
            return pb.CreateCheckpointResponse(checkpoint=checkpoint_message(made))

        async def again(known: RequestRecord) -> pb.CreateCheckpointResponse:
            made = await self._backend.blocking(self._backend.journal.checkpoint, known.execution_id, known.result)
            return pb.CreateCheckpointResponse(checkpoint=checkpoint_message(made))

        return await self._requests.once(request, do, again)

    @streaming
    async def Diff(self, request: pb.DiffRequest, context: Context) -> AsyncIterator[pb.DiffResponse]:
        record = await self._backend.find(request.execution_id)

        def look(found: Comparison) -> tuple[Sequence[Change], DiffStat, list[str]]:
            lines = list(render(found.changes, found.old, found.new)) if request.include_text else []
            return found.changes, summarize(found.changes, found.old, found.new), lines

        changes, stat, lines = await self._backend.results.using(
            record.id, request.old_checkpoint_id or None, request.new_checkpoint_id or None, look
        )
        pairs = list(zip(changes, stat.files, strict=True))
        for start in range(0, len(pairs), CHANGES_AT_ONCE):
            some = pairs[start : start + CHANGES_AT_ONCE]
            yield pb.DiffResponse(changes=[change_message(change, file) for change, file in some])
        for text in _joined(lines):
            yield pb.DiffResponse(text=text)

    @unary
    async def Fork(self, request: pb.ForkRequest, context: Context) -> pb.ForkResponse:
        self._check_accepting()
        record = await self._backend.find(request.execution_id)
        check_text("name", request.name, MAX_NAME)
        plan = None
        if request.plan_text:
            plan = await self._backend.blocking(parse_plan, request.plan_text, "plan_text")

        async def do(asked: Request | None) -> pb.ForkResponse:
            made = await self._backend.engine.fork(
                record.id,
                request.checkpoint_id or record.head,
                plan=plan,
                name=request.name or None,
                secrets=dict(request.secrets),
                keep=request.keep,
                request=asked,
            )
            return pb.ForkResponse(execution=execution_message(await self._backend.execution(made)))

        async def again(known: RequestRecord) -> pb.ForkResponse:
            return pb.ForkResponse(execution=execution_message(await self._backend.execution(known.execution_id)))

        return await self._requests.once(request, do, again)

    @streaming
    async def Export(self, request: pb.ExportRequest, context: Context) -> AsyncIterator[pb.ExportResponse]:
        record = await self._backend.find(request.execution_id)
        write = _WRITERS.get(request.format)
        if write is None:
            raise BadFieldError("format", "EXPORT_FORMAT_PATCH or EXPORT_FORMAT_TAR")
        # Made whole first: a stream that ended well was complete, and no layer stays open for a slow reader.
        with closing(await self._backend.blocking(tempfile.TemporaryFile)) as spool:
            left_out = await self._backend.results.using(record.id, None, None, lambda found: write(found, spool))
            await self._backend.blocking(spool.seek, 0)
            while data := await self._backend.blocking(_read, spool):
                yield pb.ExportResponse(data=data)
        yield pb.ExportResponse(left_out=[note_message(left.path, left.reason) for left in left_out])

    @unary
    async def Apply(self, request: pb.ApplyRequest, context: Context) -> pb.ApplyResponse:
        if len(request.allow) > MAX_ALLOWED:
            raise BadFieldError("allow", f"at most {MAX_ALLOWED} patterns")

        async def apply(execution_id: str) -> ApplyReport:
            return await self._backend.results.apply(
                execution_id, dry_run=request.dry_run, force=request.force, allow=tuple(request.allow)
            )

        return pb.ApplyResponse(report=report_message(await self._applied(request, apply)))

    @unary
    async def UndoApply(self, request: pb.UndoApplyRequest, context: Context) -> pb.UndoApplyResponse:
        async def undo(execution_id: str) -> ApplyReport:
            return await self._backend.results.undo(execution_id, dry_run=request.dry_run, force=request.force)

        return pb.UndoApplyResponse(report=report_message(await self._applied(request, undo)))

    # -- inside ----------------------------------------------------------------------------------

    async def _applied(self, request: Any, work: Callable[[str], Any]) -> ApplyReport:
        """An apply or undo, remembered when it has been done; asked again, what it did is told as from its record."""
        self._check_accepting()
        record = await self._backend.find(request.execution_id)

        async def do(asked: Request | None) -> ApplyReport:
            report: ApplyReport = await work(record.id)
            if not request.dry_run:
                await self._backend.remember(asked, record.id, report.id or "")
            return report

        async def again(known: RequestRecord) -> ApplyReport:
            return await self._backend.blocking(self._backend.results.report, known.execution_id, known.result)

        return await self._requests.once(request, do, again)

    def _check_accepting(self) -> None:
        if not self.accepting:
            raise StoppingError


def _read(spool: IO[bytes]) -> bytes:
    return os.read(spool.fileno(), CHUNK_BYTES)


def _joined(lines: Sequence[str]) -> Iterator[str]:
    """The lines, each with its end, as texts of about CHUNK_BYTES."""
    some: list[str] = []
    size = 0
    for line in lines:
        some.append(f"{line}\n")
        size += len(line)
        if size >= CHUNK_BYTES:
            yield "".join(some)
            some, size = [], 0
    if some:
        yield "".join(some)
