"""How the driver's results travel over one byte stream, and their strict reading. Pure.

    NONCE NAME STATUS A B\n   A bytes   B bytes   \n

`STATUS` is a number or `hung`. Frames come in an order that is known beforehand, each once; every length is
counted, so that nothing a tool prints can be taken for a frame. The first thing out of order ends the reading:
frames read until then stand, everything after counts for nothing. This matters because a tool that runs code of
the project can write to the stream directly and can find the nonce; it runs after the others, whose frames are
in the stream by then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SELECTION: Final = "selection"
END: Final = "end"
HUNG: Final = "hung"

_MAX_HEADER_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class Frame:
    """status: None for `hung`. first, second: the two payloads."""

    status: int | None
    first: bytes
    second: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """frames: what was read, by name. problem: why reading ended early, "" when all was there and nothing more."""

    frames: dict[str, Frame]
    problem: str


def read_frames(data: bytes, nonce: str, names: Sequence[str]) -> Reading:
    """The frames `names`, in this order, at the start of `data`. Total."""
    header = re.compile(rb"%s (\S{1,64}) (\d{1,9}|hung) (\d{1,9}) (\d{1,9})\n" % re.escape(nonce.encode("ascii")))
    frames: dict[str, Frame] = {}
    at = 0
    for name in names:
        match = header.match(data, at, at + _MAX_HEADER_BYTES)
        if match is None or match[1] != name.encode("ascii"):
            return Reading(frames, f"the results end before those of {name!r}")
        middle = match.end() + int(match[3])
        end = middle + int(match[4])
        if data[end : end + 1] != b"\n":
            return Reading(frames, f"the results of {name!r} are cut short")
        status = None if match[2] == HUNG.encode() else int(match[2])
        frames[name] = Frame(status, data[match.end() : middle], data[middle:end])
        at = end + 1
    return Reading(frames, "there is more than the results" if at != len(data) else "")
