"""Checkpoints, differences, exports, forks and applies over a real socket."""

from __future__ import annotations

import asyncio
import io
import subprocess
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from engine._gen.sandstone.v1 import checkpoint_service_pb2 as pb
from engine._gen.sandstone.v1 import execution_pb2
from engine.errors import ApplyConflictError, ApplyRefusedError, CheckpointNameError, NotFoundError
from engine.journal.states import ExecutionState
from tests.fakes.controller_world import ControllerWorld, controller
from tests.fakes.engine_world import Scripted, plan_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

CREATE = {"id": "new", "type": "file_create", "path": "sub/new.txt", "content": "new\n"}
FIX = {"id": "fix", "type": "file_edit", "path": "gcd.py", "replace": {"search": "a - b", "with": "a % b"}}
DELETE = {"id": "gone", "type": "file_delete", "path": "old.txt"}


@pytest_asyncio.fixture(loop_scope="session")
async def there(tmp_path: Path) -> AsyncIterator[ControllerWorld]:
    async with controller(tmp_path) as made:
        made.here.commands["ok"] = Scripted()
        yield made


async def done(there: ControllerWorld, *steps: dict[str, Any]) -> str:
    record = await there.client.execute_plan(plan_of(list(steps) or [CREATE, FIX, DELETE]), there.here.project)
    assert record.state is ExecutionState.COMPLETED
    return record.id


def read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


async def test_checkpoints_are_listed_page_by_page(there: ControllerWorld) -> None:
    execution_id = await done(there)
    found = await there.client.checkpoints(execution_id)
    assert [(each.id, each.name, each.parent) for each in found] == [
        ("c0", "start", None),
        ("c1", "new", "c0"),
        ("c2", "fix", "c1"),
        ("c3", "gone", "c2"),
    ]
    names, token = [], ""
    while True:
        request = pb.ListCheckpointsRequest(execution_id=execution_id, page_size=3, page_token=token)
        page = await there.checkpoints.ListCheckpoints(request)
        assert len(page.checkpoints) <= 3
        assert page.head_checkpoint_id == "c3"
        names += [each.name for each in page.checkpoints]
        token = page.next_page_token
        if not token:
            break
    assert names == ["start", "new", "fix", "gone"]


@pytest.mark.parametrize(("size", "token", "field"), [(-1, "", "page_size"), (0, "x", "page_token")])
async def test_a_bad_page_is_refused_by_field(there: ControllerWorld, size: int, token: str, field: str) -> None:
    execution_id = await done(there, CREATE)
    request = pb.ListCheckpointsRequest(execution_id=execution_id, page_size=size, page_token=token)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await there.checkpoints.ListCheckpoints(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in (caught.value.details() or "")


async def test_a_checkpoint_is_named_once_however_often_it_is_asked_for(there: ControllerWorld) -> None:
    execution_id = await done(there, CREATE)
    request = pb.CreateCheckpointRequest(execution_id=execution_id, request_id="r", name="mine")
    first = await there.checkpoints.CreateCheckpoint(request)
    second = await there.checkpoints.CreateCheckpoint(request)
    assert first == second
    assert first.checkpoint.kind == execution_pb2.CHECKPOINT_KIND_MANUAL
    with pytest.raises(CheckpointNameError):
        await there.client.checkpoint(execution_id, "mine")


async def test_a_diff_tells_every_path_and_then_the_text(there: ControllerWorld) -> None:
    execution_id = await done(there)
    changes, text = [], ""
    request = pb.DiffRequest(execution_id=execution_id, include_text=True)
    async for answer in there.checkpoints.Diff(request):
        assert not (answer.changes and text), "paths come first"
        changes += [(change.path, change.kind, change.added_line_count) for change in answer.changes]
        text += answer.text
    assert changes == [
        (b"gcd.py", pb.CHANGE_KIND_MODIFIED, 1),
        (b"old.txt", pb.CHANGE_KIND_DELETED, 0),
        (b"sub", pb.CHANGE_KIND_ADDED, 0),
        (b"sub/new.txt", pb.CHANGE_KIND_ADDED, 1),
    ]
    assert "+    return a % b\n" in text
    between = pb.DiffRequest(execution_id=execution_id, old_checkpoint_id="c1", new_checkpoint_id="fix")
    assert [change.path async for answer in there.checkpoints.Diff(between) for change in answer.changes] == [b"gcd.py"]


async def test_an_exported_patch_is_taken_by_git(there: ControllerWorld, tmp_path: Path) -> None:
    execution_id = await done(there)
    data = b"".join([a.data async for a in there.checkpoints.Export(pb.ExportRequest(execution_id=execution_id))])
    clean = tmp_path / "clean"

    def take() -> None:
        clean.mkdir()
        for name in ("gcd.py", "old.txt"):
            (clean / name).write_bytes((there.here.project / name).read_bytes())
        subprocess.run(["git", "init", "-q"], cwd=clean, check=True)
        subprocess.run(["git", "apply"], cwd=clean, input=data, check=True)

    await asyncio.to_thread(take)
    assert await asyncio.to_thread(read, clean / "sub/new.txt") == "new\n"
    assert await asyncio.to_thread(read, clean / "old.txt") is None


async def test_an_exported_tar_has_what_is_new_and_what_is_gone(there: ControllerWorld) -> None:
    execution_id = await done(there)
    request = pb.ExportRequest(execution_id=execution_id, format=pb.EXPORT_FORMAT_TAR)
    data = b"".join([answer.data async for answer in there.checkpoints.Export(request)])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert set(tar.getnames()) == {"deleted", "files/gcd.py", "files/sub", "files/sub/new.txt"}


async def test_a_large_export_comes_in_pieces(there: ControllerWorld) -> None:
    large = "".join(f"{number}\n" for number in range(50_000))
    execution_id = await done(there, {**CREATE, "content": large})
    pieces = [a.data async for a in there.checkpoints.Export(pb.ExportRequest(execution_id=execution_id))]
    assert max(map(len, pieces)) <= 64 << 10
    assert len(pieces) > 4


async def test_apply_brings_the_changes_home_once_and_undo_takes_them_back(there: ControllerWorld) -> None:
    execution_id = await done(there)
    project = there.here.project
    trial = await there.client.apply(execution_id, dry_run=True)
    assert (trial.id, trial.dry_run, trial.deleted) == (None, True, (b"old.txt",))
    assert await asyncio.to_thread(read, project / "old.txt") == "old\n"
    request = pb.ApplyRequest(execution_id=execution_id, request_id="apply-1")
    first = await there.checkpoints.Apply(request)
    assert list(first.report.added_paths) == [b"sub", b"sub/new.txt"]
    assert await asyncio.to_thread(read, project / "sub/new.txt") == "new\n"
    again = await there.checkpoints.Apply(request)
    assert again.report == first.report
    undone = await there.client.undo(execution_id)
    assert undone.id is not None
    assert await asyncio.to_thread(read, project / "old.txt") == "old\n"
    assert await asyncio.to_thread(read, project / "sub") is None
    with pytest.raises(NotFoundError):
        await there.client.undo(execution_id)


async def test_a_conflict_names_the_files_and_writes_nothing(there: ControllerWorld) -> None:
    execution_id = await done(there)
    await asyncio.to_thread((there.here.project / "gcd.py").write_text, "mine\n")
    with pytest.raises(ApplyConflictError) as caught:
        await there.client.apply(execution_id)
    assert [path for path, _ in caught.value.conflicts] == ["gcd.py"]
    assert await asyncio.to_thread(read, there.here.project / "old.txt") == "old\n"
    forced = await there.client.apply(execution_id, force=True)
    assert b"gcd.py" in forced.modified


async def test_protected_paths_are_refused_until_they_are_named(there: ControllerWorld) -> None:
    execution_id = await done(there, {**CREATE, "path": ".github/workflows/x.yml"})
    with pytest.raises(ApplyRefusedError) as caught:
        await there.client.apply(execution_id)
    assert [path for path, _ in caught.value.entries]
    report = await there.client.apply(execution_id, allow=[".github/**"])
    assert b".github/workflows/x.yml" in report.added


async def test_a_fork_starts_from_a_checkpoint_once(there: ControllerWorld) -> None:
    execution_id = await done(there)
    request = pb.ForkRequest(execution_id=execution_id, request_id="f", checkpoint_id="new", name="second")
    first = await there.checkpoints.Fork(request)
    again = await there.checkpoints.Fork(request)
    assert first.execution.execution_id == again.execution.execution_id
    assert first.execution.forked_from == f"{execution_id}:c1"
    record = await there.client.wait(first.execution.execution_id)
    assert (record.state, record.name) == (ExecutionState.COMPLETED, "second")
    other = await there.client.fork(execution_id, "c1", plan=plan_of([{**CREATE, "id": "x", "path": "x"}]))
    assert (await there.client.wait(other)).state is ExecutionState.COMPLETED


async def test_a_fork_of_what_is_not_there_is_not_found(there: ControllerWorld) -> None:
    execution_id = await done(there, CREATE)
    with pytest.raises(NotFoundError):
        await there.client.fork(execution_id, "c9")
