import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from engine._gen.sandstone.v1 import execution_pb2 as _execution_pb2
from engine._gen.sandstone.v1 import execution_service_pb2 as _execution_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "api_versions", "instance_id", "store_id", "process_id", "start_time", "limits", "checks", "running_execution_count", "queued_execution_count")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    API_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_EXECUTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUEUED_EXECUTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    version: str
    api_versions: _containers.RepeatedScalarFieldContainer[str]
    instance_id: str
    store_id: str
    process_id: int
    start_time: _timestamp_pb2.Timestamp
    limits: ServerLimits
    checks: _containers.RepeatedScalarFieldContainer[str]
    running_execution_count: int
    queued_execution_count: int
    def __init__(self, version: _Optional[str] = ..., api_versions: _Optional[_Iterable[str]] = ..., instance_id: _Optional[str] = ..., store_id: _Optional[str] = ..., process_id: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., limits: _Optional[_Union[ServerLimits, _Mapping]] = ..., checks: _Optional[_Iterable[str]] = ..., running_execution_count: _Optional[int] = ..., queued_execution_count: _Optional[int] = ...) -> None: ...

class ServerLimits(_message.Message):
    __slots__ = ("running_execution_count", "queued_execution_count", "request_bytes", "watcher_count", "calls_per_second")
    RUNNING_EXECUTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUEUED_EXECUTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_BYTES_FIELD_NUMBER: _ClassVar[int]
    WATCHER_COUNT_FIELD_NUMBER: _ClassVar[int]
    CALLS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    running_execution_count: int
    queued_execution_count: int
    request_bytes: int
    watcher_count: int
    calls_per_second: int
    def __init__(self, running_execution_count: _Optional[int] = ..., queued_execution_count: _Optional[int] = ..., request_bytes: _Optional[int] = ..., watcher_count: _Optional[int] = ..., calls_per_second: _Optional[int] = ...) -> None: ...

class ListExecutionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListExecutionsResponse(_message.Message):
    __slots__ = ("executions", "next_page_token")
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    executions: _containers.RepeatedCompositeFieldContainer[_execution_pb2.Execution]
    next_page_token: str
    def __init__(self, executions: _Optional[_Iterable[_Union[_execution_pb2.Execution, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WaitExecutionRequest(_message.Message):
    __slots__ = ("execution_id", "timeout")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    timeout: _duration_pb2.Duration
    def __init__(self, execution_id: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WaitExecutionResponse(_message.Message):
    __slots__ = ("execution",)
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    execution: _execution_pb2.Execution
    def __init__(self, execution: _Optional[_Union[_execution_pb2.Execution, _Mapping]] = ...) -> None: ...

class ReadLogsRequest(_message.Message):
    __slots__ = ("execution_id", "step_id", "attempt", "stream")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    step_id: str
    attempt: int
    stream: _execution_service_pb2.OutputStream
    def __init__(self, execution_id: _Optional[str] = ..., step_id: _Optional[str] = ..., attempt: _Optional[int] = ..., stream: _Optional[_Union[_execution_service_pb2.OutputStream, str]] = ...) -> None: ...

class ReadLogsResponse(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: _execution_service_pb2.OutputChunk
    def __init__(self, chunk: _Optional[_Union[_execution_service_pb2.OutputChunk, _Mapping]] = ...) -> None: ...
