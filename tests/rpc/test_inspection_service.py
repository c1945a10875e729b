"""Looking around over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration

from engine._gen.sandstone.v1 import execution_pb2
from engine._gen.sandstone.v1 import execution_service_pb2 as service_pb
from engine._gen.sandstone.v1 import inspection_service_pb2 as pb
from tests.fakes.controller_world import ControllerWorld, controller
from tests.fakes.engine_world import Scripted, plan_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

RUN = {"id": "run", "type": "command", "run": "ok"}
BOTH = {"id": "both", "type": "command", "run": "both"}
HANG = {"id": "hang", "type": "command", "run": "hang"}


@pytest_asyncio.fixture(loop_scope="session")
async def there(tmp_path: Path) -> AsyncIterator[ControllerWorld]:
    async with controller(tmp_path) as made:
        made.here.commands["ok"] = Scripted(stdout=b"fine\n")
        made.here.commands["both"] = Scripted(stdout=b"out\n" * 40_000, stderr=b"err\n")
        made.here.commands["hang"] = Scripted(hangs=True)
        yield made


async def test_the_controller_tells_what_it_is(there: ControllerWorld) -> None:
    info = await there.inspection.GetServerInfo(pb.GetServerInfoRequest())
    assert (info.version, info.instance_id, info.store_id) == ("0.1.0", "instance", "store")
    assert info.api_versions == ["sandstone.v1"]
    assert set(info.checks) == {"syntax", "lint", "type"}
    assert info.limits.request_bytes == 16 << 20
    assert info.running_execution_count == 0
    execution_id = await there.client.start(plan_of([HANG]), there.here.project)
    assert (await there.inspection.GetServerInfo(pb.GetServerInfoRequest())).running_execution_count == 1
    await there.client.cancel(execution_id)


async def test_executions_are_listed_newest_first_page_by_page(there: ControllerWorld) -> None:
    ids = [(await there.client.execute_plan(plan_of([RUN]), there.here.project)).id for _ in range(5)]
    found, token = [], ""
    while True:
        page = await there.inspection.ListExecutions(pb.ListExecutionsRequest(page_size=2, page_token=token))
        found += [each.execution_id for each in page.executions]
        token = page.next_page_token
        if not token:
            break
    assert found == ids[::-1]


async def test_waiting_returns_when_the_execution_comes_to_rest(there: ControllerWorld) -> None:
    execution_id = await there.client.start(plan_of([RUN]), there.here.project)
    answer = await there.inspection.WaitExecution(pb.WaitExecutionRequest(execution_id=execution_id))
    assert answer.execution.state == execution_pb2.EXECUTION_STATE_COMPLETED


async def test_waiting_ends_when_its_time_is_up(there: ControllerWorld) -> None:
    execution_id = await there.client.start(plan_of([HANG]), there.here.project)
    request = pb.WaitExecutionRequest(execution_id=execution_id, timeout=Duration(nanos=50_000_000))
    answer = await there.inspection.WaitExecution(request)
    assert answer.execution.state == execution_pb2.EXECUTION_STATE_RUNNING
    await there.client.cancel(execution_id)
    too_long = Duration()
    too_long.FromTimedelta(timedelta(hours=2))
    with pytest.raises(Exception, match="up to 1 h"):
        await there.inspection.WaitExecution(pb.WaitExecutionRequest(execution_id=execution_id, timeout=too_long))


async def test_logs_come_in_pieces_by_step_attempt_and_stream(there: ControllerWorld) -> None:
    record = await there.client.execute_plan(plan_of([RUN, BOTH]), there.here.project)

    async def logs(**filters: object) -> list[tuple[str, int, int, bytes]]:
        request = pb.ReadLogsRequest(execution_id=record.id, **filters)  # type: ignore[arg-type]
        return [
            (answer.chunk.step_id, answer.chunk.attempt, answer.chunk.stream, answer.chunk.data)
            async for answer in there.inspection.ReadLogs(request)
        ]

    everything = await logs()
    assert {entry[:3] for entry in everything} == {
        ("run", 1, service_pb.OUTPUT_STREAM_STDOUT),
        ("both", 1, service_pb.OUTPUT_STREAM_STDOUT),
        ("both", 1, service_pb.OUTPUT_STREAM_STDERR),
    }
    assert max(len(entry[3]) for entry in everything) <= 64 << 10
    out = await logs(step_id="both", stream=service_pb.OUTPUT_STREAM_STDOUT)
    assert b"".join(entry[3] for entry in out) == b"out\n" * 40_000
    assert await logs(attempt=2) == []


async def test_logs_of_an_unknown_step_are_not_found(there: ControllerWorld) -> None:
    record = await there.client.execute_plan(plan_of([RUN]), there.here.project)
    with pytest.raises(Exception, match="no step is called"):
        async for _ in there.inspection.ReadLogs(pb.ReadLogsRequest(execution_id=record.id, step_id="x")):
            pass
