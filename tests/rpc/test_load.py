"""Two hundred executions waiting and fifty watchers, one of which never reads: all come to their end, memory stays."""

from __future__ import annotations

import asyncio
import gc
import resource
from pathlib import Path

import grpc
import pytest

from engine._gen.sandstone.v1 import execution_service_pb2 as service_pb
from engine.errors import QueueFullError
from engine.events.types import OutputChunk
from engine.journal.states import ExecutionState
from sandbox.spec import Stream
from tests.fakes.controller_world import ControllerWorld, controller
from tests.fakes.engine_world import Scripted, plan_of

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow, pytest.mark.timeout(240)]

EXECUTIONS = 200
WATCHERS = 50
PLAN = plan_of(
    [
        {"id": "new", "type": "file_create", "path": "a", "content": "a"},
        {"id": "run", "type": "command", "run": "ok"},
    ]
)
HANG = plan_of([{"id": "hang", "type": "command", "run": "hang"}])


def resident_kib() -> int:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def sequences(there: ControllerWorld, execution_id: str) -> list[int]:
    return [event.sequence async for heard in there.client.watch(execution_id) for event in heard.events]


async def test_many_executions_and_watchers_and_one_that_never_reads(tmp_path: Path) -> None:
    async with controller(tmp_path) as there:
        there.here.commands["ok"] = Scripted(stdout=b"fine\n" * 100)
        there.here.commands["hang"] = Scripted(stdout=b"on\n", hangs=True)
        chatty = await there.client.start(HANG, there.here.project)
        stuck = there.executions.WatchEvents(service_pb.WatchEventsRequest(execution_id=chatty, include_output=True))
        ids = await asyncio.gather(*(there.client.start(PLAN, there.here.project) for _ in range(EXECUTIONS)))
        watching = asyncio.gather(*(sequences(there, ids[number * 4]) for number in range(WATCHERS - 1)))
        before = await asyncio.to_thread(resident_kib)
        flood = OutputChunk(chatty, "hang", 1, Stream.STDOUT, bytes(64 << 10))
        for _ in range(4096):  # 256 MiB for somebody who does not listen
            there.here.engine.bus.publish(flood)
            await asyncio.sleep(0)
        seen = await watching
        after = await asyncio.to_thread(resident_kib)
        records = await asyncio.gather(*(there.client.wait(execution_id) for execution_id in ids))
        assert {record.state for record in records} == {ExecutionState.COMPLETED}
        for number, numbers in enumerate(seen):
            assert numbers == list(range(1, records[number * 4].last_sequence + 1))
        assert after - before < 64 << 10, "KiB more than before"
        state, _ = await there.client.get_status(chatty)
        assert state.state is ExecutionState.RUNNING, "a slow reader holds nothing up, and ends nothing"
        stuck.cancel()
        await there.client.cancel(chatty)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 1 << 20, "KiB"


async def test_what_does_not_fit_into_the_queue_is_refused_and_told_to_come_again(tmp_path: Path) -> None:
    async with controller(tmp_path, max_running=1, max_queued=2) as there:
        there.here.commands["hang"] = Scripted(hangs=True)
        ids = [await there.client.start(HANG, there.here.project) for _ in range(3)]
        progress = [await there.client.get_progress(execution_id) for execution_id in ids]
        assert [each.position for each in progress] == [None, 1, 2]
        with pytest.raises(QueueFullError) as caught:
            await there.client.start(HANG, there.here.project)
        assert caught.value.limit == 2
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await there.executions.ExecutePlan(
                service_pb.ExecutePlanRequest(plan_text=HANG.to_json(), workspace=str(there.here.project))
            )
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for execution_id in ids:
            assert (await there.client.cancel(execution_id)).state is ExecutionState.CANCELLED
