"""The seven channels over a real socket: what they do, what they refuse and how, and that asking twice does once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from engine._gen.sandstone.v1 import execution_pb2 as pb
from engine._gen.sandstone.v1 import execution_service_pb2 as service_pb
from engine._gen.sandstone.v1 import plan_pb2
from engine.errors import NotFoundError, PlanError, RequestReusedError, WrongStateError
from engine.execution.control import PauseMode
from engine.journal.states import ExecutionState
from engine.rpc.plans import requested_plan
from engine.rpc.status import error_of
from tests.fakes.controller_world import ControllerWorld, controller
from tests.fakes.engine_world import Scripted, plan_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

CREATE = {"id": "new", "type": "file_create", "path": "sub/new.txt", "content": "new\n"}
RUN = {"id": "run", "type": "command", "run": "ok"}
HANG = {"id": "hang", "type": "command", "run": "hang"}


@pytest_asyncio.fixture(loop_scope="session")
async def there(tmp_path: Path) -> AsyncIterator[ControllerWorld]:
    async with controller(tmp_path) as made:
        made.here.commands["ok"] = Scripted(stdout=b"fine\n")
        made.here.commands["ok",] = Scripted()
        made.here.commands["hang"] = Scripted(stdout=b"on\n", hangs=True)
        yield made


def details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """The details of a failed call by the last part of their type's name."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    found = {}
    for kind in (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.PreconditionFailure,
        error_details_pb2.ResourceInfo,
        error_details_pb2.RetryInfo,
    ):
        for packed in status.details:
            if packed.Is(kind.DESCRIPTOR):
                found[kind.__name__] = kind()
                packed.Unpack(found[kind.__name__])
    return found


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def started(there: ControllerWorld, *steps: dict[str, Any], until: str = "on\n") -> str:
    """An execution whose step `hang` has printed its word."""
    execution_id = await there.client.start(plan_of(list(steps)), there.here.project)
    async for heard in there.client.watch(execution_id, include_output=True):
        if any(chunk.data == until.encode() for chunk in heard.output):
            break
    return execution_id


async def test_a_plan_runs_to_its_end_over_the_socket(there: ControllerWorld) -> None:
    record = await there.client.execute_plan(plan_of([CREATE, RUN]), there.here.project, name="mine")
    assert (record.state, record.name, record.head) == (ExecutionState.COMPLETED, "mine", "c2")
    again, steps = await there.client.get_status("mine")
    assert again == record
    assert [(step.id, step.state.value, step.exit_code) for step in steps] == [
        ("new", "succeeded", None),
        ("run", "succeeded", 0),
    ]
    assert steps[1].stdout_tail == b"fine\n"
    progress = await there.client.get_progress(record.id)
    assert (progress.done, progress.total, progress.state) == (2, 2, ExecutionState.COMPLETED)


async def test_a_plan_of_messages_is_the_plan_of_the_file(there: ControllerWorld) -> None:
    plan = plan_pb2.Plan(
        name="typed",
        steps=[
            plan_pb2.Step(id="new", file_create=plan_pb2.FileCreate(path="a.txt", content="a", mode=0o755)),
            plan_pb2.Step(
                id="fix",
                needs=["new"],
                file_edit=plan_pb2.FileEdit(
                    path="gcd.py", replace=plan_pb2.Replace(search="a - b", replacement="a % b")
                ),
            ),
            plan_pb2.Step(
                id="run",
                command=plan_pb2.Command(run=plan_pb2.CommandLine(argv=["ok"])),
                findings=plan_pb2.FindingPolicy(fail_on="warning"),
            ),
        ],
        findings=plan_pb2.FindingPolicy(
            new_only=False, ignore=[plan_pb2.IgnoredFindings(rules=["S1*"]), plan_pb2.IgnoredFindings(paths=["t/**"])]
        ),
    )
    answer = await there.executions.ExecutePlan(
        service_pb.ExecutePlanRequest(plan=plan, workspace=str(there.here.project))
    )
    record = await there.client.wait(answer.execution.execution_id)
    assert record.state is ExecutionState.COMPLETED
    text = plan_of(
        [
            {"id": "new", "type": "file_create", "path": "a.txt", "content": "a", "mode": "0755"},
            {
                "id": "fix",
                "type": "file_edit",
                "needs": ["new"],
                "path": "gcd.py",
                "replace": {"search": "a - b", "with": "a % b"},
            },
            {"id": "run", "type": "command", "run": ["ok"], "findings": {"fail_on": "warning"}},
        ],
        name="typed",
        findings={"new_only": False, "ignore": [{"rules": ["S1*"]}, {"paths": ["t/**"]}]},
    )
    assert record.plan_digest == text.digest


async def test_a_bad_plan_names_every_field_at_fault(there: ControllerWorld) -> None:
    plan = plan_pb2.Plan(
        steps=[
            plan_pb2.Step(id="a", file_create=plan_pb2.FileCreate(path="../out", content="x")),
            plan_pb2.Step(id="b", command=plan_pb2.Command()),
        ]
    )
    error = await refused(
        there.executions.ExecutePlan(service_pb.ExecutePlanRequest(plan=plan, workspace=str(there.here.project)))
    )
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    found = details(error)
    assert found["ErrorInfo"].reason == "PLAN"
    assert [violation.field for violation in found["BadRequest"].field_violations] == [
        "plan.steps[0].path",
        "plan.steps[1].run",
    ]
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    same = error_of(status)
    assert isinstance(same, PlanError)
    assert [fault.key for fault in same.faults] == ["steps[0].path", "steps[1].run"]


async def test_validate_only_runs_nothing(there: ControllerWorld) -> None:
    answer = await there.executions.ExecutePlan(
        service_pb.ExecutePlanRequest(
            plan_text=plan_of([RUN]).to_json(), workspace=str(there.here.project), validate_only=True
        )
    )
    assert not answer.HasField("execution")
    assert there.here.journal.executions() == []


@pytest.mark.parametrize("workspace", ["", "relative", "/a\0b", "/" + "x" * 5000])
async def test_a_workspace_that_is_no_absolute_path_is_refused_by_name(there: ControllerWorld, workspace: str) -> None:
    error = await refused(
        there.executions.ExecutePlan(
            service_pb.ExecutePlanRequest(plan_text=plan_of([RUN]).to_json(), workspace=workspace)
        )
    )
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(error)["BadRequest"].field_violations[0].field == "workspace"


async def test_a_workspace_that_is_not_there_is_not_found(there: ControllerWorld) -> None:
    with pytest.raises(NotFoundError) as caught:
        await there.client.start(plan_of([RUN]), there.here.project / "missing")
    assert caught.value.kind == "directory"


async def test_the_same_request_twice_starts_one_execution(there: ControllerWorld) -> None:
    request = service_pb.ExecutePlanRequest(
        request_id=str(uuid.uuid4()), plan_text=plan_of([RUN]).to_json(), workspace=str(there.here.project)
    )
    answers = await asyncio.gather(*(there.executions.ExecutePlan(request) for _ in range(5)))
    assert len({answer.execution.execution_id for answer in answers}) == 1
    assert len(there.here.journal.executions()) == 1


async def test_a_request_id_for_another_request_is_refused(there: ControllerWorld) -> None:
    request_id = str(uuid.uuid4())
    first = await there.client.start(plan_of([RUN]), there.here.project, request_id=request_id)
    with pytest.raises(RequestReusedError) as caught:
        await there.client.start(plan_of([CREATE]), there.here.project, request_id=request_id)
    assert (caught.value.request_id, caught.value.execution_id) == (request_id, first)


async def test_pause_now_freezes_and_resume_goes_on(there: ControllerWorld) -> None:
    execution_id = await started(there, HANG)
    await there.client.pause(execution_id, PauseMode.NOW)
    record, _ = await there.client.get_status(execution_id)
    assert record.state is ExecutionState.PAUSED
    await there.client.pause(execution_id, PauseMode.NOW)  # no error
    await there.client.resume(execution_id)
    record, _ = await there.client.get_status(execution_id)
    assert record.state is ExecutionState.RUNNING
    record = await there.client.cancel(execution_id)
    assert record.state is ExecutionState.CANCELLED
    assert (await there.client.cancel(execution_id)).state is ExecutionState.CANCELLED


async def test_a_verb_in_the_wrong_state_says_which_state(there: ControllerWorld) -> None:
    record = await there.client.execute_plan(plan_of([RUN]), there.here.project)
    error = await refused(there.executions.Resume(service_pb.ResumeRequest(execution_id=record.id)))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    found = details(error)
    assert found["ErrorInfo"].reason == "WRONG_STATE"
    assert found["ErrorInfo"].metadata["state"] == "completed"
    assert found["PreconditionFailure"].violations[0].subject == record.id
    with pytest.raises(WrongStateError) as caught:
        await there.client.pause(record.id)
    assert caught.value.state == "completed"


async def test_rollback_asked_twice_with_one_id_goes_one_back(there: ControllerWorld) -> None:
    record = await there.client.execute_plan(
        plan_of([CREATE, {**CREATE, "id": "two", "path": "b"}]), there.here.project
    )
    request = service_pb.RollbackRequest(execution_id=record.id, request_id="r1")
    first = await there.executions.Rollback(request)
    second = await there.executions.Rollback(request)
    assert (first.checkpoint.checkpoint_id, second.checkpoint.checkpoint_id) == ("c1", "c1")
    assert second.execution.state == pb.EXECUTION_STATE_PAUSED
    await there.client.resume(record.id)
    assert (await there.client.wait(record.id)).state is ExecutionState.COMPLETED


async def test_an_unknown_execution_is_not_found_with_its_name(there: ControllerWorld) -> None:
    for call, request in (
        (there.executions.GetStatus, service_pb.GetStatusRequest(execution_id="nope")),
        (there.executions.GetProgress, service_pb.GetProgressRequest(execution_id="../../x")),
        (there.executions.Pause, service_pb.PauseRequest(execution_id="")),
    ):
        error = await refused(call(request))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert details(error)["ResourceInfo"].resource_type == "execution"


async def test_dropping_a_call_never_cancels_an_execution(there: ControllerWorld) -> None:
    execution_id = await started(there, HANG)
    call = there.executions.WatchEvents(service_pb.WatchEventsRequest(execution_id=execution_id))
    await call.read()
    call.cancel()
    waiting = asyncio.ensure_future(there.client.wait(execution_id))
    await asyncio.sleep(0)
    waiting.cancel()
    record, _ = await there.client.get_status(execution_id)
    assert record.state is ExecutionState.RUNNING
    await there.client.cancel(execution_id)


async def test_progress_is_told_by_id_start_of_an_id_and_name_also_one_that_looks_like_an_id(
    there: ControllerWorld,
) -> None:
    name = "0" * 32
    record = await there.client.execute_plan(plan_of([CREATE]), there.here.project, name=name)
    for text in (record.id, record.id[:8], name, "last"):
        assert (await there.client.get_progress(text)).execution_id == record.id
    with pytest.raises(NotFoundError):
        await there.client.get_progress("1" * 32)


async def test_secrets_are_kept_in_memory_only(there: ControllerWorld) -> None:
    value = "a-very-secret-value"
    there.here.commands["ok"] = Scripted(stdout=f"token {value}\n".encode())
    record = await there.client.execute_plan(
        plan_of([RUN], secrets=["TOKEN"]), there.here.project, secrets={"TOKEN": value, "OTHER": "not asked for"}
    )
    _, steps = await there.client.get_status(record.id)
    assert value.encode() not in steps[0].stdout_tail
    for path in there.here.home.rglob("*"):
        if path.is_file():
            assert value.encode() not in path.read_bytes(), path


async def test_what_a_dropped_call_has_begun_is_done_to_its_end(there: ControllerWorld) -> None:
    execution_id = await started(there, HANG)
    call = there.executions.Cancel(service_pb.CancelRequest(execution_id=execution_id, request_id="drop"))
    await asyncio.sleep(0)
    call.cancel()
    assert (await there.client.cancel(execution_id)).state is ExecutionState.CANCELLED
    request = service_pb.ExecutePlanRequest(
        request_id="dropped", plan_text=plan_of([RUN]).to_json(), workspace=str(there.here.project)
    )
    dropped = there.executions.ExecutePlan(request)
    await asyncio.sleep(0)
    dropped.cancel()
    again = await there.executions.ExecutePlan(request)
    record = await there.client.wait(again.execution.execution_id)
    assert record.state is ExecutionState.COMPLETED
    assert len(there.here.journal.executions()) == 2


async def test_what_a_validation_looks_at_is_said_in_the_words_of_the_file() -> None:
    steps = [
        plan_pb2.Step(id="a", validation=plan_pb2.Validation(checks=["lint"], paths=["src"])),
        plan_pb2.Step(id="b", validation=plan_pb2.Validation(checks=["syntax"], changed=True)),
    ]
    text = plan_of(
        [
            {"id": "a", "type": "validation", "checks": ["lint"], "paths": ["src"]},
            {"id": "b", "type": "validation", "checks": ["syntax"], "changed": True},
        ],
        name="look",
    )
    request = service_pb.ExecutePlanRequest(plan=plan_pb2.Plan(name="look", steps=steps))
    assert requested_plan(request).digest == text.digest
