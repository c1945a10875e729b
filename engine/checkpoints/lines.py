"""Which lines differ between two texts, in bounded time whatever the texts are.

First what both begin and end with, then lines that occur once on each side (patience), then Myers'
shortest edit for what is left. Where that would cost too much the rest is taken as replaced: the result is
longer then, and still right.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MAX_DISTANCE: Final = 1000
"""Edits that Myers' method looks for in one gap between lines known to match."""

MAX_WORK: Final = 3_000_000
"""Steps for one pair of texts, one or two seconds; what is left after that is taken as replaced."""

_MAX_DEPTH: Final = 24


@dataclass(frozen=True, slots=True)
class Region:
    """Lines [old_start, old_end) became lines [new_start, new_end); counted from 0, not both empty."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


def split_lines(content: bytes) -> list[bytes]:
    """Lines with their newline; only the last may be without. Nothing but a newline ends a line."""
    parts = content.split(b"\n")
    last = parts.pop()
    lines = [part + b"\n" for part in parts]
    return [*lines, last] if last else lines


def differences(old: Sequence[bytes], new: Sequence[bytes]) -> list[Region]:
    """The regions that differ, in order, with at least one equal line between any two."""
    ids: dict[bytes, int] = {}
    left = [ids.setdefault(line, len(ids)) for line in old]
    right = [ids.setdefault(line, len(ids)) for line in new]
    matches = _Matcher(left, right).run()
    regions = []
    old_at = new_at = 0
    for old_match, new_match in [*matches, (len(left), len(right))]:
        if old_at < old_match or new_at < new_match:
            regions.append(Region(old_at, old_match, new_at, new_match))
        old_at, new_at = old_match + 1, new_match + 1
    return regions


def grouped(regions: Sequence[Region], context: int = 3) -> Iterator[list[Region]]:
    """Regions so close that their context would touch, together: what one hunk shows."""
    group: list[Region] = []
    for region in regions:
        if group and region.old_start - group[-1].old_end > 2 * context:
            yield group
            group = []
        group.append(region)
    if group:
        yield group


class _Matcher:
    """Finds pairs of equal lines, ascending on both sides."""

    def __init__(self, left: list[int], right: list[int]) -> None:
        self._left = left
        self._right = right
        self._work = MAX_WORK
        self._found: list[tuple[int, int]] = []

    def run(self) -> list[tuple[int, int]]:
        waiting = [(0, len(self._left), 0, len(self._right), 0)]
        while waiting:
            low, high, start, end, depth = waiting.pop()
            low, high, start, end = self._trim(low, high, start, end)
            if low == high or start == end:
                continue
            anchors = self._anchors(low, high, start, end) if depth < _MAX_DEPTH else []
            if not anchors:
                self._myers(low, high, start, end)
                continue
            self._found += anchors
            for i, j in [*anchors, (high, end)]:
                waiting.append((low, i, start, j, depth + 1))
                low, start = i + 1, j + 1
        return sorted(self._found)

    def _trim(self, low: int, high: int, start: int, end: int) -> tuple[int, int, int, int]:
        left, right = self._left, self._right
        while low < high and start < end and left[low] == right[start]:
            self._found.append((low, start))
            low, start = low + 1, start + 1
        while low < high and start < end and left[high - 1] == right[end - 1]:
            high, end = high - 1, end - 1
            self._found.append((high, end))
        return low, high, start, end

    def _anchors(self, low: int, high: int, start: int, end: int) -> list[tuple[int, int]]:
        """Lines that each side has once, as far as they come in the same order."""
        left_counts = Counter(self._left[low:high])
        right_counts = Counter(self._right[start:end])
        places = {line: j for j, line in enumerate(self._right[start:end], start) if right_counts[line] == 1}
        pairs = [
            (i, places[line])
            for i, line in enumerate(self._left[low:high], low)
            if left_counts[line] == 1 and line in places
        ]
        return _longest_ascending(pairs)

    def _myers(self, low: int, high: int, start: int, end: int) -> None:
        """The shortest edit of one gap, if it is short enough."""
        # Lines that the other side does not have cannot match: without them the edit is found much sooner.
        in_left, in_right = set(self._left[low:high]), set(self._right[start:end])
        old_at = [i for i in range(low, high) if self._left[i] in in_right]
        new_at = [j for j in range(start, end) if self._right[j] in in_left]
        left, right = [self._left[i] for i in old_at], [self._right[j] for j in new_at]
        height, width = len(left), len(right)
        rows: list[list[int]] = []
        for distance in range(min(height + width, MAX_DISTANCE) + 1):
            if self._work < 0:
                return
            above = rows[-1] if rows else []
            row = []
            for index in range(distance + 1):
                i = begin = _furthest(above, index, distance)
                j = i - (2 * index - distance)
                while i < height and j < width and left[i] == right[j]:
                    i, j = i + 1, j + 1
                self._work -= 1 + i - begin
                row.append(i)
                if i >= height and j >= width:
                    matched = _retraced(rows, index, height)
                    self._found += [(old_at[i], new_at[j]) for i, j in matched]
                    return
            rows.append(row)


def _retraced(rows: list[list[int]], index: int, i: int) -> Iterator[tuple[int, int]]:
    """The matches on the way back from the end, which diagonal `index` of the last distance reached."""
    for distance in range(len(rows), -1, -1):
        above = rows[distance - 1] if distance else []
        diagonal = 2 * index - distance
        begin = _furthest(above, index, distance)
        while i > begin:
            i -= 1
            yield i, i - diagonal
        if distance:
            index = index if _goes_down(above, index, distance) else index - 1
            i = above[index]


def _goes_down(above: list[int], index: int, distance: int) -> bool:
    """Whether the furthest path of this diagonal ends with an inserted line, not a deleted one."""
    return index == 0 or (index != distance and above[index - 1] < above[index])


def _furthest(above: list[int], index: int, distance: int) -> int:
    """Where diagonal number `index` of `distance` begins, seen from the old side; above: of one less."""
    if distance == 0:
        return 0
    return above[index] if _goes_down(above, index, distance) else above[index - 1] + 1


def _longest_ascending(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest subsequence whose second parts ascend; the first parts do already."""
    tails: list[int] = []
    tail_at: list[int] = []
    before: list[int] = []
    for at, (_, place) in enumerate(pairs):
        length = bisect_left(tails, place)
        before.append(tail_at[length - 1] if length else -1)
        if length == len(tails):
            tails.append(place)
            tail_at.append(at)
        else:
            tails[length], tail_at[length] = place, at
    chosen = []
    at = tail_at[-1] if tail_at else -1
    while at >= 0:
        chosen.append(pairs[at])
        at = before[at]
    return chosen[::-1]
