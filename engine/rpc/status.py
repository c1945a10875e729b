"""Errors of the engine and the sandbox as statuses of calls, and back. One table, both ways.

Every status carries `google.rpc.ErrorInfo`: the reason is the error's class in upper snake case, the metadata are
its fields. Where it fits one more detail says the same in the words of `google.rpc`. Details are bounded: gRPC
refuses headers of more than 8 KiB. What has no row is a fault of ours: INTERNAL, without what it said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from engine import errors as engine
from sandbox import errors as sandbox

DOMAIN: Final = "sandstone"
MAX_DETAIL_BYTES: Final = 4096
MAX_VIOLATIONS: Final = 20
MAX_TEXT: Final = 500
"""Bytes of one text in a detail; a message may have a few times that."""
RETRY_DELAY: Final = timedelta(seconds=1)

Code = grpc.StatusCode


class OverloadedError(engine.EngineError):
    """The controller has more of `what` than `limit`; `retry_after` is worth waiting."""

    retryable = True

    def __init__(self, what: str, limit: int, retry_after: timedelta = RETRY_DELAY) -> None:
        super().__init__(f"too many {what}: the limit is {limit}")
        self.what = what
        self.limit = limit
        self.retry_after = retry_after


class StoppingError(engine.EngineError):
    """The controller is stopping and takes nothing new."""

    retryable = True

    def __init__(self) -> None:
        super().__init__("the controller is stopping")


class BadFieldError(engine.EngineError):
    """Field `field` of a request is wrong; `reason` says what would be right."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class SequenceTooHighError(engine.EngineError):
    """Events after `after` were asked for, and `execution_id` has only `newest`."""

    def __init__(self, execution_id: str, after: int, newest: int) -> None:
        super().__init__(f"execution {execution_id} has no event {after}: its newest is {newest}")
        self.execution_id = execution_id
        self.after = after
        self.newest = newest


class ControllerGoneError(engine.EngineError):
    """The controller does not answer any more; executions that it drove are paused when it, or any command, is next."""

    retryable = True

    def __init__(self, reason: str) -> None:
        super().__init__(f"the controller is gone: {reason}")
        self.reason = reason


CODE_OF: Final[Mapping[type[Exception], grpc.StatusCode]] = MappingProxyType(
    {
        engine.PlanError: Code.INVALID_ARGUMENT,
        engine.NotFoundError: Code.NOT_FOUND,
        engine.SecretTooShortError: Code.INVALID_ARGUMENT,
        engine.CheckpointNameError: Code.INVALID_ARGUMENT,
        engine.WrongStateError: Code.FAILED_PRECONDITION,
        engine.IllegalTransitionError: Code.INTERNAL,
        engine.RequestReusedError: Code.ALREADY_EXISTS,
        engine.QueueFullError: Code.RESOURCE_EXHAUSTED,
        engine.EngineClosingError: Code.UNAVAILABLE,
        engine.ExecutionLockedError: Code.ABORTED,
        engine.ApplyConflictError: Code.FAILED_PRECONDITION,
        engine.ApplyRefusedError: Code.FAILED_PRECONDITION,
        engine.ApplyInterruptedError: Code.FAILED_PRECONDITION,
        engine.BackupCorruptError: Code.DATA_LOSS,
        engine.JournalCorruptError: Code.DATA_LOSS,
        engine.JournalVersionError: Code.FAILED_PRECONDITION,
        engine.EnvironmentUnfitError: Code.FAILED_PRECONDITION,
        OverloadedError: Code.RESOURCE_EXHAUSTED,
        StoppingError: Code.UNAVAILABLE,
        BadFieldError: Code.INVALID_ARGUMENT,
        SequenceTooHighError: Code.OUT_OF_RANGE,
        ControllerGoneError: Code.UNAVAILABLE,
        sandbox.SandboxUnavailableError: Code.UNAVAILABLE,
        sandbox.EngineUnreachableError: Code.UNAVAILABLE,
        sandbox.EngineTimeoutError: Code.UNAVAILABLE,
        sandbox.ImageNotFoundError: Code.FAILED_PRECONDITION,
        sandbox.ImageRefusedError: Code.FAILED_PRECONDITION,
        sandbox.SpecRefusedError: Code.FAILED_PRECONDITION,
        sandbox.ImageBuildError: Code.FAILED_PRECONDITION,
        sandbox.SetupFailedError: Code.FAILED_PRECONDITION,
        sandbox.LayerNotFoundError: Code.DATA_LOSS,
        sandbox.LayerExistsError: Code.INTERNAL,
        sandbox.LayerKindError: Code.INTERNAL,
        sandbox.LayerInUseError: Code.FAILED_PRECONDITION,
        sandbox.LayerCorruptError: Code.DATA_LOSS,
        sandbox.MountError: Code.FAILED_PRECONDITION,
        sandbox.TreeRefusedError: Code.FAILED_PRECONDITION,
        sandbox.PathRefusedError: Code.INVALID_ARGUMENT,
        sandbox.StoreCorruptError: Code.DATA_LOSS,
        sandbox.StoreBusyError: Code.ABORTED,
        sandbox.HostDiskFullError: Code.RESOURCE_EXHAUSTED,
    }
)
"""Every class of the two trees that is raised has a row; a test keeps it so."""


def reason_of(kind: type[Exception]) -> str:
    """`NotFoundError` -> `NOT_FOUND`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).upper()


_KIND_OF: Final = {reason_of(kind): kind for kind in CODE_OF}


# -- from errors to statuses -----------------------------------------------------------------------------------------


def status_of(error: Exception) -> status_pb2.Status:
    """What a call that raised `error` answers. Pure."""
    kind = next((kind for kind in type(error).__mro__ if kind in CODE_OF), None)
    if kind is None:
        return _status(Code.INTERNAL, "an internal fault; the controller's log has it", [_info("INTERNAL", {})])
    details: list[Message] = [_info(reason_of(kind), _fields(error))]
    special = _DETAIL_OF.get(kind)
    if special is not None:
        details.append(special(error))
    if getattr(error, "retryable", False):
        details.append(error_details_pb2.RetryInfo(retry_delay=_delay(error)))
    return _status(CODE_OF[kind], _cut(str(error), 3 * MAX_TEXT), details)


def _status(code: grpc.StatusCode, message: str, details: Sequence[Message]) -> status_pb2.Status:
    """A status with as many of `details` as there is room for."""
    status = status_pb2.Status(code=code.value[0], message=message)
    room = MAX_DETAIL_BYTES - len(message.encode())
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        if packed.ByteSize() <= room:
            status.details.append(packed)
            room -= packed.ByteSize()
    return status


def _info(reason: str, fields: Mapping[str, str]) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=fields)


def _fields(error: Exception) -> dict[str, str]:
    """The error's own attributes: text as it is, everything else as JSON."""
    fields = {}
    for name, value in vars(error).items():
        if name.startswith("_"):
            continue
        if isinstance(value, str):
            fields[name] = _cut(value)
        elif isinstance(value, timedelta):
            fields[name] = json.dumps(value.total_seconds())
        elif value is None or isinstance(value, int | float):
            fields[name] = json.dumps(value)
        elif isinstance(value, tuple) and all(isinstance(each, str) for each in value):
            fields[name] = json.dumps([_cut(each, 100) for each in value[:MAX_VIOLATIONS]])
        elif isinstance(value, tuple):
            fields[f"{name}_count"] = str(len(value))
    return fields


def _cut(text: str, limit: int = MAX_TEXT) -> str:
    """`text` as at most `limit` bytes of UTF-8."""
    clean = text.encode("utf-8", "replace")
    return clean.decode() if len(clean) <= limit else f"{clean[: limit - 3].decode('utf-8', 'ignore')}…"


def _delay(error: Exception) -> duration_pb2.Duration:
    span = getattr(error, "retry_after", RETRY_DELAY)
    delay = duration_pb2.Duration()
    delay.FromTimedelta(span)
    return delay


def _within(violations: Sequence[Any]) -> list[Any]:
    """The first of them, for which there is room beside the message and the ErrorInfo."""
    kept, room = [], MAX_DETAIL_BYTES // 2
    for violation in violations[:MAX_VIOLATIONS]:
        room -= violation.ByteSize() + 4
        if room < 0:
            break
        kept.append(violation)
    return kept


def _bad_request(pairs: Sequence[tuple[str, str]]) -> error_details_pb2.BadRequest:
    violation = error_details_pb2.BadRequest.FieldViolation
    return error_details_pb2.BadRequest(
        field_violations=_within([violation(field=_cut(field, 200), description=_cut(text)) for field, text in pairs])
    )


def _precondition(kind: str, pairs: Sequence[tuple[str, str]]) -> error_details_pb2.PreconditionFailure:
    violation = error_details_pb2.PreconditionFailure.Violation
    violations = [violation(type=kind, subject=_cut(subject, 200), description=_cut(text)) for subject, text in pairs]
    return error_details_pb2.PreconditionFailure(violations=_within(violations))


def _plan_detail(error: engine.PlanError) -> error_details_pb2.BadRequest:
    return _bad_request(
        [
            (
                f"plan.{fault.key}" if fault.key else "plan",
                f"{fault.line}:{fault.column}: {fault.message}" + (f" ({fault.hint})" if fault.hint else ""),
            )
            for fault in error.faults
        ]
    )


def _quota(subject: str, text: str) -> error_details_pb2.QuotaFailure:
    violation = error_details_pb2.QuotaFailure.Violation
    return error_details_pb2.QuotaFailure(violations=[violation(subject=subject, description=_cut(text))])


_DETAIL_OF: Final[Mapping[type[Exception], Callable[[Any], Message]]] = MappingProxyType(
    {
        engine.PlanError: _plan_detail,
        engine.SecretTooShortError: lambda e: _bad_request([(f"secrets.{e.name}", str(e))]),
        engine.CheckpointNameError: lambda e: _bad_request([("name", e.reason)]),
        BadFieldError: lambda e: _bad_request([(e.field, e.reason)]),
        engine.NotFoundError: lambda e: error_details_pb2.ResourceInfo(
            resource_type=e.kind, resource_name=_cut(e.name, 200), description=_cut(str(e))
        ),
        engine.WrongStateError: lambda e: _precondition("STATE", [(e.execution_id, f"is {e.state}")]),
        engine.ApplyConflictError: lambda e: _precondition("APPLY_CONFLICT", e.conflicts),
        engine.ApplyRefusedError: lambda e: _precondition("APPLY_REFUSED", e.entries),
        OverloadedError: lambda e: _quota(e.what, str(e)),
        engine.QueueFullError: lambda e: _quota("queued executions", str(e)),
        sandbox.HostDiskFullError: lambda e: _quota("disk", str(e)),
    }
)


# -- and back --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Details:
    """The details of a status that are looked at."""

    info: error_details_pb2.ErrorInfo | None
    bad_request: error_details_pb2.BadRequest | None
    precondition: error_details_pb2.PreconditionFailure | None


class CallFailedError(engine.EngineError):
    """A call failed with `code` for a reason that this version has no class for."""

    def __init__(self, code: str, reason: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.reason = reason


def error_of(status: status_pb2.Status) -> Exception:
    """The error that `status` was made from, with its fields as far as they were carried. Pure."""
    found = _unpack(status)
    reason = found.info.reason if found.info is not None else ""
    kind = _KIND_OF.get(reason)
    if kind is None or found.info is None:
        return CallFailedError(code_pb2.Code.Name(status.code), reason, status.message)
    if kind is engine.PlanError and found.bad_request is not None:
        return engine.PlanError([_fault(each) for each in found.bad_request.field_violations])
    error = kind.__new__(kind)
    Exception.__init__(error, status.message)
    for name, value in found.info.metadata.items():
        setattr(error, name, _value(kind, name, value))
    if found.precondition is not None:
        pairs = tuple((each.subject, each.description) for each in found.precondition.violations)
        if kind is engine.ApplyConflictError:
            error.conflicts = pairs  # type: ignore[attr-defined]
        elif kind is engine.ApplyRefusedError:
            error.entries = pairs  # type: ignore[attr-defined]
    return error


_NOT_TEXT: Final = frozenset(
    {"allowed", "near", "owner", "found", "known", "least_bytes", "needed_bytes", "free_bytes", "index", "exit_code"}
    | {"errno", "after", "newest"}
)
_SPANS: Final = frozenset({"limit", "retry_after"})
_LIMITS_COUNT: Final = frozenset({OverloadedError, engine.QueueFullError})
"""Errors whose `limit` is a number; elsewhere it is a span."""


def _value(kind: type[Exception], name: str, value: str) -> object:
    """A field as it was before it was written as text."""
    if name in _SPANS and not (name == "limit" and kind in _LIMITS_COUNT):
        return timedelta(seconds=json.loads(value))
    if name in _NOT_TEXT or name in _SPANS:
        decoded = json.loads(value)
        return tuple(decoded) if isinstance(decoded, list) else decoded
    return value


def _fault(violation: error_details_pb2.BadRequest.FieldViolation) -> engine.Fault:
    key = violation.field.removeprefix("plan").removeprefix(".")
    place = re.match(r"(\d+):(\d+): ", violation.description)
    if place is None:
        return engine.Fault("plan", 1, 1, key, violation.description)
    return engine.Fault("plan", int(place[1]), int(place[2]), key, violation.description[place.end() :])


def _unpack(status: status_pb2.Status) -> _Details:
    found: dict[type[Message], Any] = {}
    for packed in status.details:
        for kind in (
            error_details_pb2.ErrorInfo,
            error_details_pb2.BadRequest,
            error_details_pb2.PreconditionFailure,
        ):
            if packed.Is(kind.DESCRIPTOR):
                message = kind()
                packed.Unpack(message)
                found[kind] = message
    return _Details(
        found.get(error_details_pb2.ErrorInfo),
        found.get(error_details_pb2.BadRequest),
        found.get(error_details_pb2.PreconditionFailure),
    )
