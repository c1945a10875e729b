import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExecutionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXECUTION_STATE_UNSPECIFIED: _ClassVar[ExecutionState]
    EXECUTION_STATE_IDLE: _ClassVar[ExecutionState]
    EXECUTION_STATE_RUNNING: _ClassVar[ExecutionState]
    EXECUTION_STATE_PAUSED: _ClassVar[ExecutionState]
    EXECUTION_STATE_COMPLETED: _ClassVar[ExecutionState]
    EXECUTION_STATE_FAILED: _ClassVar[ExecutionState]
    EXECUTION_STATE_CANCELLED: _ClassVar[ExecutionState]

class StepState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STEP_STATE_UNSPECIFIED: _ClassVar[StepState]
    STEP_STATE_PENDING: _ClassVar[StepState]
    STEP_STATE_RUNNING: _ClassVar[StepState]
    STEP_STATE_SUCCEEDED: _ClassVar[StepState]
    STEP_STATE_FAILED: _ClassVar[StepState]
    STEP_STATE_SKIPPED: _ClassVar[StepState]
    STEP_STATE_ROLLED_BACK: _ClassVar[StepState]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_TIMEOUT: _ClassVar[Verdict]
    VERDICT_OUT_OF_MEMORY: _ClassVar[Verdict]
    VERDICT_OUTPUT_LIMIT: _ClassVar[Verdict]
    VERDICT_DISK_LIMIT: _ClassVar[Verdict]
    VERDICT_PIDS_LIMIT: _ClassVar[Verdict]
    VERDICT_KILLED: _ClassVar[Verdict]
    VERDICT_SANDBOX_UNAVAILABLE: _ClassVar[Verdict]

class CheckpointKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECKPOINT_KIND_UNSPECIFIED: _ClassVar[CheckpointKind]
    CHECKPOINT_KIND_AUTOMATIC: _ClassVar[CheckpointKind]
    CHECKPOINT_KIND_MANUAL: _ClassVar[CheckpointKind]
    CHECKPOINT_KIND_RECOVERY: _ClassVar[CheckpointKind]
    CHECKPOINT_KIND_FAILED: _ClassVar[CheckpointKind]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_EXECUTION_STARTED: _ClassVar[EventKind]
    EVENT_KIND_EXECUTION_PROGRESS: _ClassVar[EventKind]
    EVENT_KIND_EXECUTION_COMPLETED: _ClassVar[EventKind]
    EVENT_KIND_EXECUTION_FAILED: _ClassVar[EventKind]
    EVENT_KIND_EXECUTION_PAUSED: _ClassVar[EventKind]
    EVENT_KIND_EXECUTION_RESUMED: _ClassVar[EventKind]
    EVENT_KIND_EXECUTION_CANCELLED: _ClassVar[EventKind]
    EVENT_KIND_STEP_STARTED: _ClassVar[EventKind]
    EVENT_KIND_STEP_COMPLETED: _ClassVar[EventKind]
    EVENT_KIND_STEP_FAILED: _ClassVar[EventKind]
    EVENT_KIND_STEP_SKIPPED: _ClassVar[EventKind]
    EVENT_KIND_STEP_RETRYING: _ClassVar[EventKind]
    EVENT_KIND_VALIDATION_COMPLETED: _ClassVar[EventKind]
    EVENT_KIND_CHECKPOINT_CREATED: _ClassVar[EventKind]
    EVENT_KIND_ROLLBACK_STARTED: _ClassVar[EventKind]
    EVENT_KIND_ROLLBACK_COMPLETED: _ClassVar[EventKind]
    EVENT_KIND_ENVIRONMENT_PREPARING: _ClassVar[EventKind]
    EVENT_KIND_APPLY_COMPLETED: _ClassVar[EventKind]
    EVENT_KIND_APPLY_UNDONE: _ClassVar[EventKind]
    EVENT_KIND_EXECUTION_QUEUED: _ClassVar[EventKind]
    EVENT_KIND_EXECUTION_FORKED: _ClassVar[EventKind]
EXECUTION_STATE_UNSPECIFIED: ExecutionState
EXECUTION_STATE_IDLE: ExecutionState
EXECUTION_STATE_RUNNING: ExecutionState
EXECUTION_STATE_PAUSED: ExecutionState
EXECUTION_STATE_COMPLETED: ExecutionState
EXECUTION_STATE_FAILED: ExecutionState
EXECUTION_STATE_CANCELLED: ExecutionState
STEP_STATE_UNSPECIFIED: StepState
STEP_STATE_PENDING: StepState
STEP_STATE_RUNNING: StepState
STEP_STATE_SUCCEEDED: StepState
STEP_STATE_FAILED: StepState
STEP_STATE_SKIPPED: StepState
STEP_STATE_ROLLED_BACK: StepState
VERDICT_UNSPECIFIED: Verdict
VERDICT_TIMEOUT: Verdict
VERDICT_OUT_OF_MEMORY: Verdict
VERDICT_OUTPUT_LIMIT: Verdict
VERDICT_DISK_LIMIT: Verdict
VERDICT_PIDS_LIMIT: Verdict
VERDICT_KILLED: Verdict
VERDICT_SANDBOX_UNAVAILABLE: Verdict
CHECKPOINT_KIND_UNSPECIFIED: CheckpointKind
CHECKPOINT_KIND_AUTOMATIC: CheckpointKind
CHECKPOINT_KIND_MANUAL: CheckpointKind
CHECKPOINT_KIND_RECOVERY: CheckpointKind
CHECKPOINT_KIND_FAILED: CheckpointKind
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_EXECUTION_STARTED: EventKind
EVENT_KIND_EXECUTION_PROGRESS: EventKind
EVENT_KIND_EXECUTION_COMPLETED: EventKind
EVENT_KIND_EXECUTION_FAILED: EventKind
EVENT_KIND_EXECUTION_PAUSED: EventKind
EVENT_KIND_EXECUTION_RESUMED: EventKind
EVENT_KIND_EXECUTION_CANCELLED: EventKind
EVENT_KIND_STEP_STARTED: EventKind
EVENT_KIND_STEP_COMPLETED: EventKind
EVENT_KIND_STEP_FAILED: EventKind
EVENT_KIND_STEP_SKIPPED: EventKind
EVENT_KIND_STEP_RETRYING: EventKind
EVENT_KIND_VALIDATION_COMPLETED: EventKind
EVENT_KIND_CHECKPOINT_CREATED: EventKind
EVENT_KIND_ROLLBACK_STARTED: EventKind
EVENT_KIND_ROLLBACK_COMPLETED: EventKind
EVENT_KIND_ENVIRONMENT_PREPARING: EventKind
EVENT_KIND_APPLY_COMPLETED: EventKind
EVENT_KIND_APPLY_UNDONE: EventKind
EVENT_KIND_EXECUTION_QUEUED: EventKind
EVENT_KIND_EXECUTION_FORKED: EventKind

class Execution(_message.Message):
    __slots__ = ("execution_id", "name", "state", "reason", "workspace", "head_checkpoint_id", "plan_digest", "image_id", "forked_from", "create_time", "start_time", "end_time", "run_duration", "last_sequence")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    HEAD_CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    FORKED_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_DURATION_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    name: str
    state: ExecutionState
    reason: str
    workspace: str
    head_checkpoint_id: str
    plan_digest: str
    image_id: str
    forked_from: str
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    run_duration: _duration_pb2.Duration
    last_sequence: int
    def __init__(self, execution_id: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[_Union[ExecutionState, str]] = ..., reason: _Optional[str] = ..., workspace: _Optional[str] = ..., head_checkpoint_id: _Optional[str] = ..., plan_digest: _Optional[str] = ..., image_id: _Optional[str] = ..., forked_from: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., run_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., last_sequence: _Optional[int] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("execution_id", "state", "done_step_count", "total_step_count", "current_step_id", "attempt", "elapsed", "estimated_remaining", "output_bytes", "current_usage", "queue_position")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DONE_STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENT_STEP_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_REMAINING_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    CURRENT_USAGE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    state: ExecutionState
    done_step_count: int
    total_step_count: int
    current_step_id: str
    attempt: int
    elapsed: _duration_pb2.Duration
    estimated_remaining: _duration_pb2.Duration
    output_bytes: int
    current_usage: ResourceUsage
    queue_position: int
    def __init__(self, execution_id: _Optional[str] = ..., state: _Optional[_Union[ExecutionState, str]] = ..., done_step_count: _Optional[int] = ..., total_step_count: _Optional[int] = ..., current_step_id: _Optional[str] = ..., attempt: _Optional[int] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., estimated_remaining: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., output_bytes: _Optional[int] = ..., current_usage: _Optional[_Union[ResourceUsage, _Mapping]] = ..., queue_position: _Optional[int] = ...) -> None: ...

class StepStatus(_message.Message):
    __slots__ = ("step_id", "index", "type", "state", "attempt_count", "exit_code", "verdict", "detail", "duration", "overhead", "checkpoint_id", "findings", "tests", "usage", "stdout_tail", "stderr_tail")
    STEP_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    OVERHEAD_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    TESTS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    STDOUT_TAIL_FIELD_NUMBER: _ClassVar[int]
    STDERR_TAIL_FIELD_NUMBER: _ClassVar[int]
    step_id: str
    index: int
    type: str
    state: StepState
    attempt_count: int
    exit_code: int
    verdict: Verdict
    detail: str
    duration: _duration_pb2.Duration
    overhead: _duration_pb2.Duration
    checkpoint_id: str
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    tests: TestReport
    usage: ResourceUsage
    stdout_tail: bytes
    stderr_tail: bytes
    def __init__(self, step_id: _Optional[str] = ..., index: _Optional[int] = ..., type: _Optional[str] = ..., state: _Optional[_Union[StepState, str]] = ..., attempt_count: _Optional[int] = ..., exit_code: _Optional[int] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., detail: _Optional[str] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., overhead: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., checkpoint_id: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., tests: _Optional[_Union[TestReport, _Mapping]] = ..., usage: _Optional[_Union[ResourceUsage, _Mapping]] = ..., stdout_tail: _Optional[bytes] = ..., stderr_tail: _Optional[bytes] = ...) -> None: ...

class ResourceUsage(_message.Message):
    __slots__ = ("cpu_time", "memory_peak_bytes", "output_bytes", "disk_bytes")
    CPU_TIME_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    cpu_time: _duration_pb2.Duration
    memory_peak_bytes: int
    output_bytes: int
    disk_bytes: int
    def __init__(self, cpu_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., memory_peak_bytes: _Optional[int] = ..., output_bytes: _Optional[int] = ..., disk_bytes: _Optional[int] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("rule", "severity", "message", "check", "category", "file", "line", "column", "end_line", "end_column", "help_url", "fix", "fingerprint", "reference")
    RULE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    END_LINE_FIELD_NUMBER: _ClassVar[int]
    END_COLUMN_FIELD_NUMBER: _ClassVar[int]
    HELP_URL_FIELD_NUMBER: _ClassVar[int]
    FIX_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    rule: str
    severity: str
    message: str
    check: str
    category: str
    file: bytes
    line: int
    column: int
    end_line: int
    end_column: int
    help_url: str
    fix: Fix
    fingerprint: str
    reference: str
    def __init__(self, rule: _Optional[str] = ..., severity: _Optional[str] = ..., message: _Optional[str] = ..., check: _Optional[str] = ..., category: _Optional[str] = ..., file: _Optional[bytes] = ..., line: _Optional[int] = ..., column: _Optional[int] = ..., end_line: _Optional[int] = ..., end_column: _Optional[int] = ..., help_url: _Optional[str] = ..., fix: _Optional[_Union[Fix, _Mapping]] = ..., fingerprint: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class Fix(_message.Message):
    __slots__ = ("edits", "applicability", "message")
    EDITS_FIELD_NUMBER: _ClassVar[int]
    APPLICABILITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    edits: _containers.RepeatedCompositeFieldContainer[Edit]
    applicability: str
    message: str
    def __init__(self, edits: _Optional[_Iterable[_Union[Edit, _Mapping]]] = ..., applicability: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Edit(_message.Message):
    __slots__ = ("line", "column", "end_line", "end_column", "content")
    LINE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    END_LINE_FIELD_NUMBER: _ClassVar[int]
    END_COLUMN_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    line: int
    column: int
    end_line: int
    end_column: int
    content: str
    def __init__(self, line: _Optional[int] = ..., column: _Optional[int] = ..., end_line: _Optional[int] = ..., end_column: _Optional[int] = ..., content: _Optional[str] = ...) -> None: ...

class TestReport(_message.Message):
    __slots__ = ("test_count", "passed_count", "failure_count", "error_count", "skipped_count", "duration", "failed", "left_out_count")
    TEST_COUNT_FIELD_NUMBER: _ClassVar[int]
    PASSED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_COUNT_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_COUNT_FIELD_NUMBER: _ClassVar[int]
    test_count: int
    passed_count: int
    failure_count: int
    error_count: int
    skipped_count: int
    duration: _duration_pb2.Duration
    failed: _containers.RepeatedCompositeFieldContainer[TestCase]
    left_out_count: int
    def __init__(self, test_count: _Optional[int] = ..., passed_count: _Optional[int] = ..., failure_count: _Optional[int] = ..., error_count: _Optional[int] = ..., skipped_count: _Optional[int] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., failed: _Optional[_Iterable[_Union[TestCase, _Mapping]]] = ..., left_out_count: _Optional[int] = ...) -> None: ...

class TestCase(_message.Message):
    __slots__ = ("name", "classname", "file", "line", "outcome", "message")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLASSNAME_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    classname: str
    file: str
    line: int
    outcome: str
    message: str
    def __init__(self, name: _Optional[str] = ..., classname: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., outcome: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Checkpoint(_message.Message):
    __slots__ = ("checkpoint_id", "name", "kind", "parent_checkpoint_id", "step_id", "create_time")
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PARENT_CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    checkpoint_id: str
    name: str
    kind: CheckpointKind
    parent_checkpoint_id: str
    step_id: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, checkpoint_id: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[_Union[CheckpointKind, str]] = ..., parent_checkpoint_id: _Optional[str] = ..., step_id: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("execution_id", "sequence", "kind", "kind_name", "create_time", "step_id", "execution", "progress", "step", "retry", "checkpoint", "rollback", "apply", "environment", "fork", "validation")
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    KIND_NAME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    STEP_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_FIELD_NUMBER: _ClassVar[int]
    APPLY_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    FORK_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    sequence: int
    kind: EventKind
    kind_name: str
    create_time: _timestamp_pb2.Timestamp
    step_id: str
    execution: ExecutionEvent
    progress: ProgressEvent
    step: StepEvent
    retry: RetryEvent
    checkpoint: CheckpointEvent
    rollback: RollbackEvent
    apply: ApplyEvent
    environment: EnvironmentEvent
    fork: ForkEvent
    validation: ValidationEvent
    def __init__(self, execution_id: _Optional[str] = ..., sequence: _Optional[int] = ..., kind: _Optional[_Union[EventKind, str]] = ..., kind_name: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., step_id: _Optional[str] = ..., execution: _Optional[_Union[ExecutionEvent, _Mapping]] = ..., progress: _Optional[_Union[ProgressEvent, _Mapping]] = ..., step: _Optional[_Union[StepEvent, _Mapping]] = ..., retry: _Optional[_Union[RetryEvent, _Mapping]] = ..., checkpoint: _Optional[_Union[CheckpointEvent, _Mapping]] = ..., rollback: _Optional[_Union[RollbackEvent, _Mapping]] = ..., apply: _Optional[_Union[ApplyEvent, _Mapping]] = ..., environment: _Optional[_Union[EnvironmentEvent, _Mapping]] = ..., fork: _Optional[_Union[ForkEvent, _Mapping]] = ..., validation: _Optional[_Union[ValidationEvent, _Mapping]] = ...) -> None: ...

class ValidationEvent(_message.Message):
    __slots__ = ("passed", "checks", "finding_count", "duration")
    PASSED_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    FINDING_COUNT_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    passed: bool
    checks: _containers.RepeatedCompositeFieldContainer[CheckResult]
    finding_count: int
    duration: _duration_pb2.Duration
    def __init__(self, passed: _Optional[bool] = ..., checks: _Optional[_Iterable[_Union[CheckResult, _Mapping]]] = ..., finding_count: _Optional[int] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CheckResult(_message.Message):
    __slots__ = ("check", "status", "finding_count", "note", "file_count", "fails_on", "cut")
    CHECK_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FINDING_COUNT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    FILE_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILS_ON_FIELD_NUMBER: _ClassVar[int]
    CUT_FIELD_NUMBER: _ClassVar[int]
    check: str
    status: str
    finding_count: int
    note: str
    file_count: int
    fails_on: str
    cut: bool
    def __init__(self, check: _Optional[str] = ..., status: _Optional[str] = ..., finding_count: _Optional[int] = ..., note: _Optional[str] = ..., file_count: _Optional[int] = ..., fails_on: _Optional[str] = ..., cut: _Optional[bool] = ...) -> None: ...

class ExecutionEvent(_message.Message):
    __slots__ = ("reason", "head_checkpoint_id", "run_duration", "name", "plan_digest", "step_count", "image_id", "workspace", "pause_mode", "queue_position")
    REASON_FIELD_NUMBER: _ClassVar[int]
    HEAD_CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_DURATION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    PAUSE_MODE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_POSITION_FIELD_NUMBER: _ClassVar[int]
    reason: str
    head_checkpoint_id: str
    run_duration: _duration_pb2.Duration
    name: str
    plan_digest: str
    step_count: int
    image_id: str
    workspace: str
    pause_mode: str
    queue_position: int
    def __init__(self, reason: _Optional[str] = ..., head_checkpoint_id: _Optional[str] = ..., run_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., name: _Optional[str] = ..., plan_digest: _Optional[str] = ..., step_count: _Optional[int] = ..., image_id: _Optional[str] = ..., workspace: _Optional[str] = ..., pause_mode: _Optional[str] = ..., queue_position: _Optional[int] = ...) -> None: ...

class ProgressEvent(_message.Message):
    __slots__ = ("done_step_count", "total_step_count", "elapsed")
    DONE_STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_STEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    done_step_count: int
    total_step_count: int
    elapsed: _duration_pb2.Duration
    def __init__(self, done_step_count: _Optional[int] = ..., total_step_count: _Optional[int] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class StepEvent(_message.Message):
    __slots__ = ("index", "type", "attempt", "exit_code", "verdict", "detail", "duration", "overhead", "finding_count", "tests", "branch_checkpoint_id")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    OVERHEAD_FIELD_NUMBER: _ClassVar[int]
    FINDING_COUNT_FIELD_NUMBER: _ClassVar[int]
    TESTS_FIELD_NUMBER: _ClassVar[int]
    BRANCH_CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    index: int
    type: str
    attempt: int
    exit_code: int
    verdict: Verdict
    detail: str
    duration: _duration_pb2.Duration
    overhead: _duration_pb2.Duration
    finding_count: int
    tests: TestReport
    branch_checkpoint_id: str
    def __init__(self, index: _Optional[int] = ..., type: _Optional[str] = ..., attempt: _Optional[int] = ..., exit_code: _Optional[int] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., detail: _Optional[str] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., overhead: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., finding_count: _Optional[int] = ..., tests: _Optional[_Union[TestReport, _Mapping]] = ..., branch_checkpoint_id: _Optional[str] = ...) -> None: ...

class RetryEvent(_message.Message):
    __slots__ = ("attempt", "reason", "verdict", "wait")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    reason: str
    verdict: Verdict
    wait: _duration_pb2.Duration
    def __init__(self, attempt: _Optional[int] = ..., reason: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CheckpointEvent(_message.Message):
    __slots__ = ("checkpoint_id", "name", "changed")
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    checkpoint_id: str
    name: str
    changed: bool
    def __init__(self, checkpoint_id: _Optional[str] = ..., name: _Optional[str] = ..., changed: _Optional[bool] = ...) -> None: ...

class RollbackEvent(_message.Message):
    __slots__ = ("checkpoint_id", "name", "reason", "rolled_back_step_ids")
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ROLLED_BACK_STEP_IDS_FIELD_NUMBER: _ClassVar[int]
    checkpoint_id: str
    name: str
    reason: str
    rolled_back_step_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, checkpoint_id: _Optional[str] = ..., name: _Optional[str] = ..., reason: _Optional[str] = ..., rolled_back_step_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ApplyEvent(_message.Message):
    __slots__ = ("apply_id", "added_count", "modified_count", "deleted_count")
    APPLY_ID_FIELD_NUMBER: _ClassVar[int]
    ADDED_COUNT_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    apply_id: str
    added_count: int
    modified_count: int
    deleted_count: int
    def __init__(self, apply_id: _Optional[str] = ..., added_count: _Optional[int] = ..., modified_count: _Optional[int] = ..., deleted_count: _Optional[int] = ...) -> None: ...

class EnvironmentEvent(_message.Message):
    __slots__ = ("command_count",)
    COMMAND_COUNT_FIELD_NUMBER: _ClassVar[int]
    command_count: int
    def __init__(self, command_count: _Optional[int] = ...) -> None: ...

class ForkEvent(_message.Message):
    __slots__ = ("origin_execution_id", "origin_name", "checkpoint_id", "done_step_ids")
    ORIGIN_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_NAME_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_ID_FIELD_NUMBER: _ClassVar[int]
    DONE_STEP_IDS_FIELD_NUMBER: _ClassVar[int]
    origin_execution_id: str
    origin_name: str
    checkpoint_id: str
    done_step_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, origin_execution_id: _Optional[str] = ..., origin_name: _Optional[str] = ..., checkpoint_id: _Optional[str] = ..., done_step_ids: _Optional[_Iterable[str]] = ...) -> None: ...
