import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OnFailure(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_FAILURE_UNSPECIFIED: _ClassVar[OnFailure]
    ON_FAILURE_ROLLBACK: _ClassVar[OnFailure]
    ON_FAILURE_STOP: _ClassVar[OnFailure]
    ON_FAILURE_CONTINUE: _ClassVar[OnFailure]
ON_FAILURE_UNSPECIFIED: OnFailure
ON_FAILURE_ROLLBACK: OnFailure
ON_FAILURE_STOP: OnFailure
ON_FAILURE_CONTINUE: OnFailure

class Plan(_message.Message):
    __slots__ = ("name", "environment", "sandbox", "env", "secrets", "retry", "on_failure", "rollback_to", "checks", "steps", "findings")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    SANDBOX_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    ON_FAILURE_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_TO_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    environment: Environment
    sandbox: SandboxSettings
    env: _containers.ScalarMap[str, str]
    secrets: _containers.RepeatedScalarFieldContainer[str]
    retry: RetrySettings
    on_failure: OnFailure
    rollback_to: str
    checks: _containers.RepeatedScalarFieldContainer[str]
    steps: _containers.RepeatedCompositeFieldContainer[Step]
    findings: FindingPolicy
    def __init__(self, name: _Optional[str] = ..., environment: _Optional[_Union[Environment, _Mapping]] = ..., sandbox: _Optional[_Union[SandboxSettings, _Mapping]] = ..., env: _Optional[_Mapping[str, str]] = ..., secrets: _Optional[_Iterable[str]] = ..., retry: _Optional[_Union[RetrySettings, _Mapping]] = ..., on_failure: _Optional[_Union[OnFailure, str]] = ..., rollback_to: _Optional[str] = ..., checks: _Optional[_Iterable[str]] = ..., steps: _Optional[_Iterable[_Union[Step, _Mapping]]] = ..., findings: _Optional[_Union[FindingPolicy, _Mapping]] = ...) -> None: ...

class FindingPolicy(_message.Message):
    __slots__ = ("fail_on", "new_only", "ignore")
    FAIL_ON_FIELD_NUMBER: _ClassVar[int]
    NEW_ONLY_FIELD_NUMBER: _ClassVar[int]
    IGNORE_FIELD_NUMBER: _ClassVar[int]
    fail_on: str
    new_only: bool
    ignore: _containers.RepeatedCompositeFieldContainer[IgnoredFindings]
    def __init__(self, fail_on: _Optional[str] = ..., new_only: _Optional[bool] = ..., ignore: _Optional[_Iterable[_Union[IgnoredFindings, _Mapping]]] = ...) -> None: ...

class IgnoredFindings(_message.Message):
    __slots__ = ("rules", "paths")
    RULES_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedScalarFieldContainer[str]
    paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, rules: _Optional[_Iterable[str]] = ..., paths: _Optional[_Iterable[str]] = ...) -> None: ...

class Environment(_message.Message):
    __slots__ = ("image", "setup")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SETUP_FIELD_NUMBER: _ClassVar[int]
    image: str
    setup: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, image: _Optional[str] = ..., setup: _Optional[_Iterable[str]] = ...) -> None: ...

class SandboxSettings(_message.Message):
    __slots__ = ("network", "memory_limit_bytes", "cpus", "pids_limit", "disk_limit_bytes", "timeout", "output_limit_bytes", "runtime", "hide")
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    MEMORY_LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    PIDS_LIMIT_FIELD_NUMBER: _ClassVar[int]
    DISK_LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    HIDE_FIELD_NUMBER: _ClassVar[int]
    network: str
    memory_limit_bytes: int
    cpus: float
    pids_limit: int
    disk_limit_bytes: int
    timeout: _duration_pb2.Duration
    output_limit_bytes: int
    runtime: str
    hide: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, network: _Optional[str] = ..., memory_limit_bytes: _Optional[int] = ..., cpus: _Optional[float] = ..., pids_limit: _Optional[int] = ..., disk_limit_bytes: _Optional[int] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., output_limit_bytes: _Optional[int] = ..., runtime: _Optional[str] = ..., hide: _Optional[_Iterable[str]] = ...) -> None: ...

class RetrySettings(_message.Message):
    __slots__ = ("attempts", "initial", "factor", "max", "jitter")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    INITIAL_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    attempts: int
    initial: _duration_pb2.Duration
    factor: float
    max: _duration_pb2.Duration
    jitter: _duration_pb2.Duration
    def __init__(self, attempts: _Optional[int] = ..., initial: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., factor: _Optional[float] = ..., max: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., jitter: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ("id", "name", "needs", "env", "sandbox", "retry", "on_failure", "rollback_to", "checks", "flaky", "findings", "file_create", "file_edit", "file_delete", "command", "validation", "test")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    SANDBOX_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    ON_FAILURE_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_TO_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    FLAKY_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    FILE_CREATE_FIELD_NUMBER: _ClassVar[int]
    FILE_EDIT_FIELD_NUMBER: _ClassVar[int]
    FILE_DELETE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    needs: _containers.RepeatedScalarFieldContainer[str]
    env: _containers.ScalarMap[str, str]
    sandbox: SandboxSettings
    retry: RetrySettings
    on_failure: OnFailure
    rollback_to: str
    checks: CheckList
    flaky: bool
    findings: FindingPolicy
    file_create: FileCreate
    file_edit: FileEdit
    file_delete: FileDelete
    command: Command
    validation: Validation
    test: Test
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., needs: _Optional[_Iterable[str]] = ..., env: _Optional[_Mapping[str, str]] = ..., sandbox: _Optional[_Union[SandboxSettings, _Mapping]] = ..., retry: _Optional[_Union[RetrySettings, _Mapping]] = ..., on_failure: _Optional[_Union[OnFailure, str]] = ..., rollback_to: _Optional[str] = ..., checks: _Optional[_Union[CheckList, _Mapping]] = ..., flaky: _Optional[bool] = ..., findings: _Optional[_Union[FindingPolicy, _Mapping]] = ..., file_create: _Optional[_Union[FileCreate, _Mapping]] = ..., file_edit: _Optional[_Union[FileEdit, _Mapping]] = ..., file_delete: _Optional[_Union[FileDelete, _Mapping]] = ..., command: _Optional[_Union[Command, _Mapping]] = ..., validation: _Optional[_Union[Validation, _Mapping]] = ..., test: _Optional[_Union[Test, _Mapping]] = ...) -> None: ...

class CheckList(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class FileCreate(_message.Message):
    __slots__ = ("path", "content", "mode", "overwrite")
    PATH_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OVERWRITE_FIELD_NUMBER: _ClassVar[int]
    path: str
    content: str
    mode: int
    overwrite: bool
    def __init__(self, path: _Optional[str] = ..., content: _Optional[str] = ..., mode: _Optional[int] = ..., overwrite: _Optional[bool] = ...) -> None: ...

class FileEdit(_message.Message):
    __slots__ = ("path", "replace", "insert", "patch", "content")
    PATH_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    INSERT_FIELD_NUMBER: _ClassVar[int]
    PATCH_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    path: str
    replace: Replace
    insert: Insert
    patch: str
    content: str
    def __init__(self, path: _Optional[str] = ..., replace: _Optional[_Union[Replace, _Mapping]] = ..., insert: _Optional[_Union[Insert, _Mapping]] = ..., patch: _Optional[str] = ..., content: _Optional[str] = ...) -> None: ...

class Replace(_message.Message):
    __slots__ = ("search", "replacement", "all")
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    REPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    search: str
    replacement: str
    all: bool
    def __init__(self, search: _Optional[str] = ..., replacement: _Optional[str] = ..., all: _Optional[bool] = ...) -> None: ...

class Insert(_message.Message):
    __slots__ = ("after", "before", "line", "text")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    after: str
    before: str
    line: int
    text: str
    def __init__(self, after: _Optional[str] = ..., before: _Optional[str] = ..., line: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class FileDelete(_message.Message):
    __slots__ = ("path", "recursive")
    PATH_FIELD_NUMBER: _ClassVar[int]
    RECURSIVE_FIELD_NUMBER: _ClassVar[int]
    path: str
    recursive: bool
    def __init__(self, path: _Optional[str] = ..., recursive: _Optional[bool] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("run", "cwd", "stdin")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    STDIN_FIELD_NUMBER: _ClassVar[int]
    run: CommandLine
    cwd: str
    stdin: str
    def __init__(self, run: _Optional[_Union[CommandLine, _Mapping]] = ..., cwd: _Optional[str] = ..., stdin: _Optional[str] = ...) -> None: ...

class CommandLine(_message.Message):
    __slots__ = ("shell", "argv")
    SHELL_FIELD_NUMBER: _ClassVar[int]
    ARGV_FIELD_NUMBER: _ClassVar[int]
    shell: str
    argv: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, shell: _Optional[str] = ..., argv: _Optional[_Iterable[str]] = ...) -> None: ...

class Validation(_message.Message):
    __slots__ = ("checks", "paths", "changed")
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    checks: _containers.RepeatedScalarFieldContainer[str]
    paths: _containers.RepeatedScalarFieldContainer[str]
    changed: bool
    def __init__(self, checks: _Optional[_Iterable[str]] = ..., paths: _Optional[_Iterable[str]] = ..., changed: _Optional[bool] = ...) -> None: ...

class Test(_message.Message):
    __slots__ = ("run", "cwd", "stdin", "junit")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CWD_FIELD_NUMBER: _ClassVar[int]
    STDIN_FIELD_NUMBER: _ClassVar[int]
    JUNIT_FIELD_NUMBER: _ClassVar[int]
    run: CommandLine
    cwd: str
    stdin: str
    junit: str
    def __init__(self, run: _Optional[_Union[CommandLine, _Mapping]] = ..., cwd: _Optional[str] = ..., stdin: _Optional[str] = ..., junit: _Optional[str] = ...) -> None: ...
