"""Replaces secrets in output by `***`, also where a secret is split over two chunks.

Exact values only: a secret that a step encodes (base64, reversed, ...) is not recognised; the README says so.
Values shorter than `MIN_SECRET_BYTES` are refused where secrets are read, because masking them would ruin
ordinary text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MASK: Final = b"***"
MIN_SECRET_BYTES: Final = 4


class Masker:
    """Knows the secrets of one execution."""

    def __init__(self, secrets: Iterable[str]) -> None:
        values = {secret.encode("utf-8", "surrogateescape") for secret in secrets}
        # Longest first, so that a secret that contains another is masked whole.
        self._values = sorted((value for value in values if value), key=len, reverse=True)
        self._longest = len(self._values[0]) if self._values else 0

    def mask(self, data: bytes) -> bytes:
        """`data` with every secret replaced."""
        for value in self._values:
            data = data.replace(value, MASK)
        return data

    def mask_text(self, text: str) -> str:
        """The same for text."""
        if not self._values:
            return text
        return self.mask(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def stream(self) -> MaskingStream:
        """A masker for one stream of chunks."""
        return MaskingStream(self)

    def held_back(self, data: bytes) -> int:
        """How many bytes at the end of `data` may be the start of a secret that goes on in the next chunk."""
        for length in range(min(self._longest - 1, len(data)), 0, -1):
            tail = data[-length:]
            if any(value.startswith(tail) for value in self._values if len(value) > length):
                return length
        return 0


class MaskingStream:
    """Masks one stream; holds back at most one secret's length less one byte."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._pending = b""

    def feed(self, chunk: bytes) -> bytes:
        """The part of everything fed so far that is safe to show now."""
        data = self._masker.mask(self._pending + chunk)
        keep = self._masker.held_back(data)
        self._pending = data[len(data) - keep :] if keep else b""
        return data[: len(data) - keep] if keep else data

    def finish(self) -> bytes:
        """What was held back; the stream has ended."""
        rest, self._pending = self._masker.mask(self._pending), b""
        return rest
