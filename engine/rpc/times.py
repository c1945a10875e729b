"""Times and spans as the protocol carries them, and back. Pure; what does not fit is clamped, never raised."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_LONGEST: Final = timedelta(days=36_500)


def to_timestamp(moment: datetime | None) -> Timestamp | None:
    """None stays None: the field is then absent."""
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment.astimezone(UTC))
    return made


def to_datetime(timestamp: Timestamp) -> datetime:
    """Timezone-aware UTC."""
    return timestamp.ToDatetime(tzinfo=UTC)


def to_duration(span: timedelta | None) -> Duration | None:
    """None stays None: the field is then absent."""
    if span is None:
        return None
    made = Duration()
    made.FromTimedelta(min(max(span, -_LONGEST), _LONGEST))
    return made


def ms_to_duration(milliseconds: float | None) -> Duration | None:
    """The same from milliseconds."""
    return None if milliseconds is None else to_duration(timedelta(milliseconds=milliseconds))


def to_ms(duration: Duration) -> float:
    """Milliseconds."""
    return duration.seconds * 1e3 + duration.nanos / 1e6


def to_timedelta(duration: Duration) -> timedelta:
    """Clamped: a client may send any number."""
    seconds = min(max(duration.seconds, -int(_LONGEST.total_seconds())), int(_LONGEST.total_seconds()))
    return timedelta(seconds=seconds, microseconds=duration.nanos / 1e3)
