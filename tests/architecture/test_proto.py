"""The protocol: generated code is what the .proto files give, and fields keep the rules that buf does not check."""

from __future__ import annotations

import keyword
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

from engine._gen.sandstone.v1 import (
    checkpoint_service_pb2,
    execution_pb2,
    execution_service_pb2,
    inspection_service_pb2,
    plan_pb2,
)

ROOT = Path(__file__).parents[2]
FILES = [
    module.DESCRIPTOR
    for module in (checkpoint_service_pb2, execution_pb2, execution_service_pb2, inspection_service_pb2, plan_pb2)
]
UNSIGNED = {
    FieldDescriptor.TYPE_UINT32,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_FIXED32,
    FieldDescriptor.TYPE_FIXED64,
}


def fields(file: FileDescriptor) -> Iterator[FieldDescriptor]:
    def of(message: Descriptor) -> Iterator[FieldDescriptor]:
        yield from message.fields
        for nested in message.nested_types:
            yield from of(nested)

    for message in file.message_types_by_name.values():
        yield from of(message)


def test_every_proto_file_is_looked_at() -> None:
    assert {f"proto/{file.name}" for file in FILES} == {
        str(path.relative_to(ROOT)) for path in ROOT.glob("proto/**/*.proto")
    }


def test_generated_code_is_what_the_proto_files_give(tmp_path: Path) -> None:
    made = tmp_path / "made"
    subprocess.run([ROOT / ".ci/generate-proto", str(made)], check=True, capture_output=True)
    committed = ROOT / "engine/_gen"
    names = {path.relative_to(made) for path in made.rglob("*.py*") if "__pycache__" not in path.parts}
    assert names == {
        path.relative_to(committed) for path in committed.rglob("*.py*") if "__pycache__" not in path.parts
    }
    for name in names:
        assert (made / name).read_text() == (committed / name).read_text(), f"{name}: run .ci/generate-proto"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_fields_can_be_used_in_any_language(file: FileDescriptor) -> None:
    for field in fields(file):
        assert not keyword.iskeyword(field.name), field.full_name
        assert field.type not in UNSIGNED, f"{field.full_name}: unsigned numbers are not portable"
        assert not field.name.startswith("num_"), f"{field.full_name}: write ..._count"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_times_and_spans_have_their_own_types(file: FileDescriptor) -> None:
    for field in fields(file):
        type_name = field.message_type.full_name if field.message_type is not None else ""
        if field.name.endswith("_time") and field.name != "cpu_time":
            assert type_name == "google.protobuf.Timestamp", field.full_name
        if field.name.endswith(("_ms", "_seconds", "_s")):
            raise AssertionError(f"{field.full_name}: use google.protobuf.Duration")


def test_the_seven_channels_and_the_stream_are_there() -> None:
    service = execution_service_pb2.DESCRIPTOR.services_by_name["ExecutionService"]
    assert [method.name for method in service.methods] == [
        "ExecutePlan",
        "Pause",
        "Resume",
        "Cancel",
        "GetProgress",
        "GetStatus",
        "Rollback",
        "WatchEvents",
    ]
