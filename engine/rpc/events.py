"""Events as messages, and back, by one table: which payload an event kind has, and where each of its data goes.

An event's data has the keys that the engine emits; a key without a place raises, so that nothing is lost unseen.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from engine._gen.sandstone.v1 import execution_pb2 as pb
from engine.events.types import Event, EventKind
from engine.rpc.convert import check_messages, check_results, tests_json, tests_message, verdict_text, verdict_value
from engine.rpc.times import ms_to_duration, to_datetime, to_ms, to_timestamp


@dataclass(frozen=True, slots=True)
class _Codec:
    """How one value is written and read. absent: what an empty field means."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    absent: object = None


def _same(value: Any) -> Any:
    return value


_TEXT: Final = _Codec(lambda value: str(value).encode("utf-8", "replace").decode(), _same, "")
_NAME: Final = _Codec(lambda value: value or "", lambda value: value or None)
_NUMBER: Final = _Codec(_same, _same, 0)
_FLAG: Final = _Codec(_same, _same, False)
_SPAN: Final = _Codec(ms_to_duration, to_ms)
_VERDICT: Final = _Codec(verdict_value, verdict_text)
_TESTS: Final = _Codec(tests_message, tests_json)
_TOTALS: Final = ("tests", "failures", "errors", "skipped")
_LIST: Final = _Codec(list, list)
_CHECKS: Final = _Codec(check_messages, check_results)

Places = Mapping[str, tuple[str, _Codec]]

_STEP: Final[Places] = {
    "index": ("index", _NUMBER),
    "type": ("type", _TEXT),
    "attempt": ("attempt", _NUMBER),
    "exit_code": ("exit_code", _NUMBER),
    "verdict": ("verdict", _VERDICT),
    "detail": ("detail", _TEXT),
    "reason": ("detail", _TEXT),
    "duration_ms": ("duration", _SPAN),
    "overhead_ms": ("overhead", _SPAN),
    "findings": ("finding_count", _NUMBER),
    "tests": ("tests", _TESTS),
    "branch": ("branch_checkpoint_id", _NAME),
}
_VALIDATION: Final[Places] = {
    "ok": ("passed", _FLAG),
    "checks": ("checks", _CHECKS),
    "findings": ("finding_count", _NUMBER),
    "duration_ms": ("duration", _SPAN),
}
_EXECUTION: Final[Places] = {
    "reason": ("reason", _TEXT),
    "head": ("head_checkpoint_id", _TEXT),
    "duration_ms": ("run_duration", _SPAN),
    "name": ("name", _TEXT),
    "plan_digest": ("plan_digest", _TEXT),
    "steps": ("step_count", _NUMBER),
    "image": ("image_id", _TEXT),
    "workspace": ("workspace", _TEXT),
    "mode": ("pause_mode", _TEXT),
    "position": ("queue_position", _NUMBER),
}
_PROGRESS: Final[Places] = {
    "done": ("done_step_count", _NUMBER),
    "total": ("total_step_count", _NUMBER),
    "elapsed_ms": ("elapsed", _SPAN),
}
_RETRY: Final[Places] = {
    "attempt": ("attempt", _NUMBER),
    "reason": ("reason", _TEXT),
    "verdict": ("verdict", _VERDICT),
    "wait_ms": ("wait", _SPAN),
}
_CHECKPOINT: Final[Places] = {
    "checkpoint": ("checkpoint_id", _TEXT),
    "name": ("name", _TEXT),
    "changed": ("changed", _FLAG),
}
_ROLLBACK_STARTED: Final[Places] = {
    "to": ("checkpoint_id", _TEXT),
    "name": ("name", _TEXT),
    "reason": ("reason", _TEXT),
}
_ROLLBACK_COMPLETED: Final[Places] = {
    "head": ("checkpoint_id", _TEXT),
    "rolled_back": ("rolled_back_step_ids", _LIST),
}
_APPLY: Final[Places] = {
    "apply": ("apply_id", _NAME),
    "added": ("added_count", _NUMBER),
    "modified": ("modified_count", _NUMBER),
    "deleted": ("deleted_count", _NUMBER),
}
_FORK: Final[Places] = {
    "origin": ("origin_execution_id", _TEXT),
    "origin_name": ("origin_name", _TEXT),
    "checkpoint": ("checkpoint_id", _TEXT),
    "done": ("done_step_ids", _LIST),
}
_ENVIRONMENT: Final[Places] = {"commands": ("command_count", _NUMBER)}


@dataclass(frozen=True, slots=True)
class Row:
    """kind: on the wire. payload: field of the message. places: data key -> field of the payload.
    keys: the data that such an event has; where one may be left out, the wire leaves it out as well."""

    kind: int
    payload: str
    places: Places
    keys: tuple[str, ...]
    optional: frozenset[str] = frozenset()


def _row(name: str, payload: str, places: Places, keys: str, optional: str = "") -> Row:
    wire: Any = pb.EventKind
    return Row(wire.Value(f"EVENT_KIND_{name}"), payload, places, tuple(keys.split()), frozenset(optional.split()))


_ENDED: Final = "reason head duration_ms"
_OUTCOME: Final = "exit_code verdict detail duration_ms overhead_ms findings"

ROWS: Final[Mapping[EventKind, Row]] = MappingProxyType(
    {
        EventKind.EXECUTION_STARTED: _row(
            "EXECUTION_STARTED", "execution", _EXECUTION, "name plan_digest steps image workspace"
        ),
        EventKind.EXECUTION_PROGRESS: _row("EXECUTION_PROGRESS", "progress", _PROGRESS, "done total elapsed_ms"),
        EventKind.EXECUTION_COMPLETED: _row("EXECUTION_COMPLETED", "execution", _EXECUTION, _ENDED, "duration_ms"),
        EventKind.EXECUTION_FAILED: _row("EXECUTION_FAILED", "execution", _EXECUTION, _ENDED, "duration_ms"),
        EventKind.EXECUTION_CANCELLED: _row("EXECUTION_CANCELLED", "execution", _EXECUTION, _ENDED, "duration_ms"),
        EventKind.EXECUTION_PAUSED: _row("EXECUTION_PAUSED", "execution", _EXECUTION, "reason head mode", "mode"),
        EventKind.EXECUTION_RESUMED: _row("EXECUTION_RESUMED", "execution", _EXECUTION, "head"),
        EventKind.EXECUTION_QUEUED: _row("EXECUTION_QUEUED", "execution", _EXECUTION, "position"),
        EventKind.EXECUTION_FORKED: _row("EXECUTION_FORKED", "fork", _FORK, "origin origin_name checkpoint done"),
        EventKind.STEP_STARTED: _row("STEP_STARTED", "step", _STEP, "index type attempt"),
        EventKind.STEP_COMPLETED: _row("STEP_COMPLETED", "step", _STEP, f"{_OUTCOME} tests", "tests"),
        EventKind.STEP_FAILED: _row("STEP_FAILED", "step", _STEP, f"{_OUTCOME} tests branch", "tests"),
        EventKind.STEP_SKIPPED: _row("STEP_SKIPPED", "step", _STEP, "reason"),
        EventKind.STEP_RETRYING: _row("STEP_RETRYING", "retry", _RETRY, "attempt reason verdict wait_ms"),
        EventKind.VALIDATION_COMPLETED: _row(
            "VALIDATION_COMPLETED", "validation", _VALIDATION, "ok checks findings duration_ms"
        ),
        EventKind.CHECKPOINT_CREATED: _row("CHECKPOINT_CREATED", "checkpoint", _CHECKPOINT, "checkpoint name changed"),
        EventKind.ROLLBACK_STARTED: _row("ROLLBACK_STARTED", "rollback", _ROLLBACK_STARTED, "to name reason"),
        EventKind.ROLLBACK_COMPLETED: _row("ROLLBACK_COMPLETED", "rollback", _ROLLBACK_COMPLETED, "head rolled_back"),
        EventKind.ENVIRONMENT_PREPARING: _row("ENVIRONMENT_PREPARING", "environment", _ENVIRONMENT, "commands"),
        EventKind.APPLY_COMPLETED: _row("APPLY_COMPLETED", "apply", _APPLY, "apply added modified deleted"),
        EventKind.APPLY_UNDONE: _row("APPLY_UNDONE", "apply", _APPLY, "apply added modified deleted"),
    }
)

_KIND_OF: Final = {row.kind: kind for kind, row in ROWS.items()}


def event_message(event: Event) -> pb.Event:
    """Raises KeyError: the table has no place for some of its data."""
    row = ROWS[event.kind]
    message = pb.Event(
        execution_id=event.execution_id,
        sequence=event.sequence,
        kind=row.kind,  # type: ignore[arg-type]
        kind_name=event.kind.value,
        create_time=to_timestamp(event.time),
        step_id=event.step_id or "",
    )
    payload = getattr(message, row.payload)
    payload.SetInParent()
    for key, value in event.data.items():
        if key == "step":
            continue  # The progress of a step; it is the event's own `step_id`.
        field, codec = row.places[key]
        if value is not None:
            _set(payload, field, codec.write(value))
    if event.kind is EventKind.EXECUTION_PROGRESS and event.step_id is None:
        message.step_id = str(event.data.get("step") or "")
    return message


def _set(payload: Any, field: str, value: Any) -> None:
    if isinstance(value, list):
        getattr(payload, field).extend(value)
    elif hasattr(value, "DESCRIPTOR"):
        getattr(payload, field).CopyFrom(value)
    else:
        setattr(payload, field, value)


def event_of(message: pb.Event) -> Event:
    """The event that `message` was made from. Raises ValueError: a kind that this version does not know."""
    kind = _KIND_OF.get(message.kind)
    if kind is None:
        raise ValueError(f"{message.kind_name or message.kind} is no event kind that this version knows")
    row = ROWS[kind]
    payload: Any = getattr(message, row.payload)
    data: dict[str, Any] = {}
    for key in row.keys:
        field, codec = row.places[key]
        if not _present(payload, field):
            if key not in row.optional:
                data[key] = codec.absent if not _tracks(payload, field) else None
        else:
            data[key] = codec.read(getattr(payload, field))
    step_id: str | None = message.step_id or None
    if kind is EventKind.EXECUTION_PROGRESS:
        data["step"], step_id = step_id, None
    if "tests" in data:
        data["tests"] = {name: data["tests"][name] for name in _TOTALS}
    return Event(message.execution_id, message.sequence, kind, to_datetime(message.create_time), step_id, data)


def _tracks(payload: Any, field: str) -> bool:
    """Whether the field can be told to be absent."""
    return bool(payload.DESCRIPTOR.fields_by_name[field].has_presence)


def _present(payload: Any, field: str) -> bool:
    if _tracks(payload, field):
        return bool(payload.HasField(field))
    return payload.DESCRIPTOR.fields_by_name[field].is_repeated or bool(getattr(payload, field))


class EventMessages:
    """Messages of the newest events, made once however many listeners get them. Lives on one event loop."""

    def __init__(self, capacity: int = 1024) -> None:
        self._capacity = capacity
        self._made: OrderedDict[tuple[str, int], pb.Event] = OrderedDict()

    def of(self, event: Event) -> pb.Event:
        """The event's message; not to be changed."""
        key = (event.execution_id, event.sequence)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = event_message(event)
            if len(self._made) > self._capacity:
                self._made.popitem(last=False)
        return found
