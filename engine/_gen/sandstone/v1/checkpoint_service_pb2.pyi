from engine._gen.sandstone.v1 import execution_pb2 as _execution_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChangeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_KIND_UNSPECIFIED: _ClassVar[ChangeKind]
    CHANGE_KIND_ADDED: _ClassVar[ChangeKind]
    CHANGE_KIND_MODIFIED: _ClassVar[ChangeKind]
    CHANGE_KIND_DELETED: _ClassVar[ChangeKind]
    CHANGE_KIND_TYPE_CHANGED: _ClassVar[ChangeKind]
    CHANGE_KIND_MODE_CHANGED: _ClassVar[ChangeKind]

class ExportFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPORT_FORMAT_UNSPECIFIED: _ClassVar[ExportFormat]
    EXPORT_FORMAT_PATCH: _ClassVar[ExportFormat]
    EXPORT_FORMAT_TAR: _ClassVar[ExportFormat]
CHANGE_KIND_UNSPECIFIED: ChangeKind
CHANGE_KIND_ADDED: ChangeKind
CHANGE_KIND_MODIFIED: ChangeKind
CHANGE_KIND_DELETED: ChangeKind
CHANGE_KIND_TYPE_CHANGED: ChangeKind
CHANGE_KIND_MODE_CHANGED: ChangeKind
EXPORT_FORMAT_UNSPECIFIED: ExportFormat
EXPORT_FORMAT_PATCH: ExportFormat
EXPORT_FORMAT_TAR: ExportFormat

class ListCheckpointsRequest(_message.Message):
    __slots__ = ("execution_id", "page_size", "page_token")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    page_size: int
    page_token: str
    def __init__(self, execution_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCheckpointsResponse(_message.Message):
    __slots__ = ("checkpoints", "head_checkpoint_id", "next_page_token")
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    HEAD_CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    checkpoints: _containers.RepeatedCompositeFieldContainer[_execution_pb2.Checkpoint]
    head_checkpoint_id: str
    next_page_token: str
    def __init__(self, checkpoints: _Optional[_Iterable[_Union[_execution_pb2.Checkpoint, _Mapping]]] = ..., head_checkpoint_id: _Optional[str] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateCheckpointRequest(_message.Message):
    __slots__ = ("execution_id", "request_id", "name")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    request_id: str
    name: str
    def __init__(self, execution_id: _Optional[str] = ..., request_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class CreateCheckpointResponse(_message.Message):
    __slots__ = ("checkpoint",)
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    checkpoint: _execution_pb2.Checkpoint
    def __init__(self, checkpoint: _Optional[_Union[_execution_pb2.Checkpoint, _Mapping]] = ...) -> None: ...

class DiffRequest(_message.Message):
    __slots__ = ("execution_id", "old_checkpoint_id", "new_checkpoint_id", "include_text")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    OLD_CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    NEW_CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TEXT_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    old_checkpoint_id: str
    new_checkpoint_id: str
    include_text: bool
    def __init__(self, execution_id: _Optional[str] = ..., old_checkpoint_id: _Optional[str] = ..., new_checkpoint_id: _Optional[str] = ..., include_text: _Optional[bool] = ...) -> None: ...

class DiffResponse(_message.Message):
    __slots__ = ("changes", "text")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[PathChange]
    text: str
    def __init__(self, changes: _Optional[_Iterable[_Union[PathChange, _Mapping]]] = ..., text: _Optional[str] = ...) -> None: ...

class PathChange(_message.Message):
    __slots__ = ("path", "kind", "old_entry", "new_entry", "added_line_count", "removed_line_count")
    PATH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OLD_ENTRY_FIELD_NUMBER: _ClassVar[int]
    NEW_ENTRY_FIELD_NUMBER: _ClassVar[int]
    ADDED_LINE_COUNT_FIELD_NUMBER: _ClassVar[int]
    REMOVED_LINE_COUNT_FIELD_NUMBER: _ClassVar[int]
    path: bytes
    kind: ChangeKind
    old_entry: PathEntry
    new_entry: PathEntry
    added_line_count: int
    removed_line_count: int
    def __init__(self, path: _Optional[bytes] = ..., kind: _Optional[_Union[ChangeKind, str]] = ..., old_entry: _Optional[_Union[PathEntry, _Mapping]] = ..., new_entry: _Optional[_Union[PathEntry, _Mapping]] = ..., added_line_count: _Optional[int] = ..., removed_line_count: _Optional[int] = ...) -> None: ...

class PathEntry(_message.Message):
    __slots__ = ("kind", "mode", "size_bytes", "sha256", "target")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    kind: str
    mode: int
    size_bytes: int
    sha256: str
    target: bytes
    def __init__(self, kind: _Optional[str] = ..., mode: _Optional[int] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., target: _Optional[bytes] = ...) -> None: ...

class ForkRequest(_message.Message):
    __slots__ = ("execution_id", "request_id", "checkpoint_id", "plan_text", "name", "secrets", "keep")
    class SecretsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_TEXT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    request_id: str
    checkpoint_id: str
    plan_text: str
    name: str
    secrets: _containers.ScalarMap[str, str]
    keep: bool
    def __init__(self, execution_id: _Optional[str] = ..., request_id: _Optional[str] = ..., checkpoint_id: _Optional[str] = ..., plan_text: _Optional[str] = ..., name: _Optional[str] = ..., secrets: _Optional[_Mapping[str, str]] = ..., keep: _Optional[bool] = ...) -> None: ...

class ForkResponse(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: _execution_pb2.Execution
    def __init__(self, execution: _Optional[_Union[_execution_pb2.Execution, _Mapping]] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("execution_id", "format")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    format: ExportFormat
    def __init__(self, execution_id: _Optional[str] = ..., format: _Optional[_Union[ExportFormat, str]] = ...) -> None: ...

class ExportResponse(_message.Message):
    __slots__ = ("data", "left_out")
    DATA_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    left_out: _containers.RepeatedCompositeFieldContainer[PathNote]
    def __init__(self, data: _Optional[bytes] = ..., left_out: _Optional[_Iterable[_Union[PathNote, _Mapping]]] = ...) -> None: ...

class PathNote(_message.Message):
    __slots__ = ("path", "text", "kind")
    PATH_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    path: bytes
    text: str
    kind: str
    def __init__(self, path: _Optional[bytes] = ..., text: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class ApplyRequest(_message.Message):
    __slots__ = ("execution_id", "request_id", "dry_run", "force", "allow")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    request_id: str
    dry_run: bool
    force: bool
    allow: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, execution_id: _Optional[str] = ..., request_id: _Optional[str] = ..., dry_run: _Optional[bool] = ..., force: _Optional[bool] = ..., allow: _Optional[_Iterable[str]] = ...) -> None: ...

class ApplyResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: ApplyReport
    def __init__(self, report: _Optional[_Union[ApplyReport, _Mapping]] = ...) -> None: ...

class UndoApplyRequest(_message.Message):
    __slots__ = ("execution_id", "request_id", "dry_run", "force")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    request_id: str
    dry_run: bool
    force: bool
    def __init__(self, execution_id: _Optional[str] = ..., request_id: _Optional[str] = ..., dry_run: _Optional[bool] = ..., force: _Optional[bool] = ...) -> None: ...

class UndoApplyResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: ApplyReport
    def __init__(self, report: _Optional[_Union[ApplyReport, _Mapping]] = ...) -> None: ...

class ApplyReport(_message.Message):
    __slots__ = ("apply_id", "project", "added_paths", "modified_paths", "deleted_paths", "notes", "stayed")
    APPLY_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    ADDED_PATHS_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_PATHS_FIELD_NUMBER: _ClassVar[int]
    DELETED_PATHS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    STAYED_FIELD_NUMBER: _ClassVar[int]
    apply_id: str
    project: str
    added_paths: _containers.RepeatedScalarFieldContainer[bytes]
    modified_paths: _containers.RepeatedScalarFieldContainer[bytes]
    deleted_paths: _containers.RepeatedScalarFieldContainer[bytes]
    notes: _containers.RepeatedCompositeFieldContainer[PathNote]
    stayed: _containers.RepeatedCompositeFieldContainer[PathNote]
    def __init__(self, apply_id: _Optional[str] = ..., project: _Optional[str] = ..., added_paths: _Optional[_Iterable[bytes]] = ..., modified_paths: _Optional[_Iterable[bytes]] = ..., deleted_paths: _Optional[_Iterable[bytes]] = ..., notes: _Optional[_Iterable[_Union[PathNote, _Mapping]]] = ..., stayed: _Optional[_Iterable[_Union[PathNote, _Mapping]]] = ...) -> None: ...
