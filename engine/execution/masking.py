"""Replaces secrets in output by `***`, also where a secret is split over two chunks or cut off.

Exact values only: a secret that a step encodes (base64, reversed, ...) is not recognised; docs/plan-file.md says
so. Values shorter than `MIN_SECRET_BYTES` are refused where secrets are read, because masking them would ruin
ordinary text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from sandbox.spec import CapturedOutput

MASK: Final = "***"
MIN_SECRET_BYTES: Final = 4


class Masker:
    """Knows the secrets of one execution."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # Longest first, so that a secret that contains another is masked whole.
        texts = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._values = sorted((_bytes(text) for text in texts), key=len, reverse=True)
        self._any = re.compile(b"|".join(map(re.escape, self._values))) if texts else None
        self._any_text = re.compile("|".join(map(re.escape, texts))) if texts else None

    def mask(self, data: bytes) -> bytes:
        """`data` with every secret replaced."""
        return self._any.sub(MASK.encode(), data) if self._any is not None and self._occurs(data) else data

    def mask_text(self, text: str) -> str:
        """The same for text."""
        return self._any_text.sub(MASK, text) if self._any_text is not None else text

    def mask_json(self, value: Any) -> Any:
        """A JSON value with every secret replaced in its texts, and what is left of one that their end cut off."""
        if isinstance(value, str):
            return self._mask_bounded(value)
        if isinstance(value, list | tuple):
            return [self.mask_json(each) for each in value]
        if isinstance(value, dict):
            return {key: self.mask_json(each) for key, each in value.items()}
        return value

    def mask_captured(self, captured: CapturedOutput) -> CapturedOutput:
        """Kept output with every secret replaced, and what is left of one that what was left out has cut."""
        if not captured.omitted_bytes:
            return CapturedOutput(head=self.mask(captured.head + captured.tail))
        return replace(captured, head=self._mask_before_cut(captured.head), tail=self._mask_after_cut(captured.tail))

    def stream(self) -> MaskingStream:
        """A masker for one stream of chunks."""
        return MaskingStream(self)

    def safe_end(self, data: bytes) -> int:
        """How much of `data` is sure to be masked right, whatever comes behind it."""
        begin = 0
        while True:
            end = begin + self._open_at(data[begin:])
            split = None
            for found in self._any.finditer(data, begin) if self._any is not None and self._occurs(data) else ():
                if found.start() >= end or found.end() > end:
                    split = found if found.start() < end else None
                    break
            if split is None:
                return end
            begin = split.end()

    def _occurs(self, data: bytes) -> bool:
        """Asked first, because it is many times faster than the expression on data without secrets."""
        return any(value in data for value in self._values)

    def _open_at(self, data: bytes) -> int:
        """Where the longest end of `data` begins that could be the start of a secret; its length when none could."""
        end = len(data)
        for value in self._values:
            start = max(0, len(data) - len(value) + 1)
            while (start := data.find(value[:1], start, end)) >= 0:
                if value.startswith(data[start:]):
                    end = start
                    break
                start += 1
        return end

    def _mask_before_cut(self, data: bytes) -> bytes:
        end = self.safe_end(data)
        left = len(data) - end
        return self.mask(data[:end]) + (MASK.encode() if left >= MIN_SECRET_BYTES else data[end:])

    def _mask_after_cut(self, data: bytes) -> bytes:
        for length in range(min(len(data), len(self._values[0]) - 1 if self._values else 0), MIN_SECRET_BYTES - 1, -1):
            if any(len(value) > length and value.endswith(data[:length]) for value in self._values):
                return MASK.encode() + self.mask(data[length:])
        return self.mask(data)

    def _mask_bounded(self, text: str) -> str:
        """Text that may have been cut at its end."""
        masked = self.mask_text(text)
        data = masked.encode("utf-8", "surrogatepass")
        left = len(data) - self._open_at(data)
        if left < MIN_SECRET_BYTES:
            return masked
        return data[: len(data) - left].decode("utf-8", "surrogatepass") + MASK


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class MaskingStream:
    """Masks one stream; holds back what could be the start of a secret, less than one secret's length."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._pending = b""

    def feed(self, chunk: bytes) -> bytes:
        """The part of everything fed so far that is safe to show now."""
        data = self._pending + chunk
        end = self._masker.safe_end(data)
        self._pending = data[end:]
        return self._masker.mask(data[:end])

    def finish(self) -> bytes:
        """What was held back; the stream has ended."""
        rest, self._pending = self._masker.mask(self._pending), b""
        return rest
