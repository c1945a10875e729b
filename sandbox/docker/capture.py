"""Bounded keeping of output: the head and the tail of a stream, whatever its length.

Memory is bounded by the keeping bound, not by what comes: at most one and a half times `keep_bytes` is held.
"""

from __future__ import annotations

from typing import Final

from sandbox.spec import MIB, CapturedOutput

MAX_KEPT_BYTES: Final = 16 * MIB
"""The most of one stream that is ever kept, however large the output limit."""


class OutputCapture:
    """Keeps all of a stream up to `keep_bytes`, and of a longer one the first and the last half of that."""

    def __init__(self, keep_bytes: int) -> None:
        self._tail_bytes = keep_bytes // 2
        self._head_bytes = keep_bytes - self._tail_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, chunk: bytes) -> None:
        """Append `chunk`. Amortised cost is its length."""
        room = self._head_bytes - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        if not chunk:
            return
        if len(chunk) > self._tail_bytes:
            cut = len(chunk) - self._tail_bytes
            self._dropped += len(self._tail) + cut
            self._tail = bytearray(chunk[cut:])
            return
        self._tail += chunk
        # Trimmed only at twice the size: a cut for every chunk would make small chunks expensive.
        if len(self._tail) > 2 * self._tail_bytes:
            self._trim()

    def result(self) -> CapturedOutput:
        """What was kept so far."""
        self._trim()
        if not self._dropped:
            return CapturedOutput(head=bytes(self._head + self._tail))
        return CapturedOutput(bytes(self._head), bytes(self._tail), self._dropped)

    def _trim(self) -> None:
        excess = len(self._tail) - self._tail_bytes
        if excess > 0:
            del self._tail[:excess]
            self._dropped += excess
