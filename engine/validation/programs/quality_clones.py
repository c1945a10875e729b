"""Finds code that stands twice: the same tokens with names changed throughout or not at all. Of the check `quality`.

Files are added one after the other. Every SAMPLE-th window of WINDOW tokens is remembered by a rolling hash; each
window of the next file is looked up, and where one is known both sides are compared token by token, to the left and to
the right, as far as names answer to names one to one. What was found is passed over, so reports do not overlap. A token
is compared at most a fixed number of times: the work grows with the text, whatever is in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from engine.validation.programs.quality_tokens import Tokens

MIN_TOKENS = 60
MIN_LINES = 6
SAMPLE = 20
WINDOW = MIN_TOKENS - SAMPLE + 1
MAX_PLACES = 4
"""Places that are remembered for one window; of more it is a phrase of the language."""

MIN_VARIETY = 12
"""Different tokens that a clone must have, names and literals each counting as one: tables have fewer."""

MODULUS = (1 << 61) - 1
BASE = 1_000_003


class Clone(NamedTuple):
    """`lines` of `path` that say the same as those from `other_line` on of `other`. print: of how it begins."""

    path: bytes
    line: int
    end_line: int
    tokens: int
    other: bytes
    other_line: int
    other_end: int
    print: str

    @property
    def lines(self) -> int:
        return self.end_line - self.line + 1


class Clones:
    """Takes files in, and gives what in each stood before. steps: tokens hashed and compared so far."""

    def __init__(self) -> None:
        self.files: list[tuple[bytes, Tokens]] = []
        self.places: dict[int, list[tuple[int, int]]] = {}
        self.steps = 0

    def add(self, path: bytes, tokens: Tokens, asked: bool = True) -> Iterator[Clone]:
        """asked: what stands twice is wanted; else the file is only there for others to be compared with."""
        number = len(self.files)
        self.files.append((path, tokens))
        covered = -1
        for start, key in self.windows(tokens):
            if start < covered:
                continue
            found = self.look_up(number, start, max(covered, 0), key) if asked else None
            if found is not None:
                clone, covered = found
                if clone is not None:
                    yield clone
            elif start % SAMPLE == 0:
                known = self.places.setdefault(key, [])
                if len(known) < MAX_PLACES:
                    known.append((number, start))

    def windows(self, tokens: Tokens) -> Iterator[tuple[int, int]]:
        """The start and hash of each window."""
        kinds = tokens.kinds
        leaving = pow(BASE, WINDOW, MODULUS)
        value = 0
        for position, kind in enumerate(kinds):
            self.steps += 1
            value = (value * BASE + kind) % MODULUS
            if position >= WINDOW:
                value = (value - leaving * kinds[position - WINDOW]) % MODULUS
            if position >= WINDOW - 1:
                yield position - WINDOW + 1, value

    def look_up(self, number: int, start: int, least: int, key: int) -> tuple[Clone | None, int] | None:
        """The longest clone that this window is in, or only where the equal part ends when it is too small a one."""
        longest = (0, 0, 0, 0)
        for other, place in self.places.get(key, ()):
            if other != number or place + WINDOW <= start:
                left, right = self.spread(number, start, least, other, place)
                longest = max(longest, (left + right, left, other, place))
        length, left, other, place = longest
        if length < MIN_TOKENS:
            return None
        begin, other_begin = start - left, place - left
        return self.clone(number, begin, other, other_begin, length), begin + length

    def spread(self, number: int, start: int, least: int, other: int, place: int) -> tuple[int, int]:
        """How many tokens to the left of both places and from them on are the same."""
        here, there = self.files[number][1], self.files[other][1]
        pairs: tuple[dict[int, int], dict[int, int]] = ({}, {})
        floor = 0
        limit = min(len(here.kinds) - start, len(there.kinds) - place)
        if number == other:
            limit = min(limit, start - place)
        right = 0
        while right < limit and self.same(here, start + right, there, place + right, pairs):
            right += 1
        if right < WINDOW:
            return 0, 0
        room = min(start - least, place - floor)
        if number == other:
            room = min(room, start - place - right)
        left = 0
        while left < room and self.same(here, start - left - 1, there, place - left - 1, pairs):
            left += 1
        return left, right

    def same(
        self, here: Tokens, at: int, there: Tokens, place: int, pairs: tuple[dict[int, int], dict[int, int]]
    ) -> bool:
        """Equal tokens; a name answers to one other name only, both ways."""
        self.steps += 1
        if here.kinds[at] != there.kinds[place]:
            return False
        mine, its = here.names[at], there.names[place]
        return not mine or (pairs[0].setdefault(mine, its) == its and pairs[1].setdefault(its, mine) == mine)

    def clone(self, number: int, begin: int, other: int, other_begin: int, length: int) -> Clone | None:
        """Whole lines only; None when they are too few, or a table."""
        path, here = self.files[number]
        other_path, there = self.files[other]
        end = begin + length
        shift = other_begin - begin
        while begin < end and not (opens(here, begin) and opens(there, begin + shift)):
            begin += 1
        while end > begin and not (closes(here, end - 1) and closes(there, end - 1 + shift)):
            end -= 1
        self.steps += length
        if end - begin < MIN_TOKENS or len(set(here.kinds[begin:end])) < MIN_VARIETY:
            return None
        digest = hashlib.sha256(here.kinds[begin : begin + MIN_TOKENS].tobytes()).hexdigest()[:16]
        made = Clone(
            path,
            here.lines[begin],
            here.lines[end - 1],
            end - begin,
            other_path,
            there.lines[begin + shift],
            there.lines[end - 1 + shift],
            digest,
        )
        return made if made.lines >= MIN_LINES and made.other_end - made.other_line + 1 >= MIN_LINES else None


def opens(tokens: Tokens, at: int) -> bool:
    """The token is the first of its line."""
    return at == 0 or tokens.lines[at - 1] != tokens.lines[at]


def closes(tokens: Tokens, at: int) -> bool:
    return at + 1 == len(tokens.lines) or tokens.lines[at + 1] != tokens.lines[at]
