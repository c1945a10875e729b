"""Text edits as pure functions: exact replacement and insertion, and where the nearest text is when it fails.

Nothing here guesses: a search text must occur, exactly and once (unless all occurrences were asked for). When
it does not occur, the error shows the most similar lines of the file, with their numbers and what differs, so
that a person or a model can correct the plan. Line endings: what is written with LF also fits a file that uses
CRLF throughout, and what is put in then uses CRLF too. A byte order mark stays where it is.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

MAX_COMPARED_LINES: Final = 20_000
MAX_SHOWN_LINES: Final = 12
MIN_SIMILARITY: Final = 0.5


class EditRefused(Exception):
    """The edit does not fit the text. The message says why and what is near."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The lines of a text that look most like what was searched. first: line number from 1."""

    first: int
    lines: tuple[str, ...]
    similarity: float


def replace_exact(content: str, search: str, replacement: str, every: bool = False) -> str:
    """`content` with `search` replaced.

    Raises EditRefused: it does not occur, or more than once without `every`.
    """
    if not search:
        raise EditRefused("the search text is empty")
    if _is_crlf(content):
        search, replacement = _to_crlf(search), _to_crlf(replacement)
    count = content.count(search)
    if count == 0:
        raise EditRefused(f"the search text does not occur; {_near_text(content, search)}")
    if count > 1 and not every:
        lines = ", ".join(str(line) for line in _occurrences(content, search)[:5])
        raise EditRefused(
            f"the search text occurs {count} times (at lines {lines}{', ...' if count > 5 else ''}); "
            "make it longer so that it occurs once, or ask for all occurrences"
        )
    return content.replace(search, replacement)


def insert_beside(content: str, anchor: str, text: str, *, after: bool) -> str:
    """`content` with `text` as lines of its own after (or before) the line or lines that hold `anchor`.

    Raises EditRefused: the anchor does not occur, or more than once.
    """
    if not anchor:
        raise EditRefused("the anchor text is empty")
    crlf = _is_crlf(content)
    if anchor not in content and crlf:
        anchor = _to_crlf(anchor)
    count = content.count(anchor)
    if count == 0:
        raise EditRefused(f"the anchor text does not occur; {_near_text(content, anchor)}")
    if count > 1:
        lines = ", ".join(str(line) for line in _occurrences(content, anchor)[:5])
        raise EditRefused(f"the anchor text occurs {count} times (at lines {lines}); make it longer")
    start = content.index(anchor)
    if after:
        end = content.find("\n", start + len(anchor.rstrip("\r\n")))
        position = len(content) if end < 0 else end + 1
    else:
        position = content.rfind("\n", 0, start) + 1
    return _put_lines(content, position, text, crlf)


def insert_at_line(content: str, line: int, text: str) -> str:
    """`content` with `text` as lines of its own before line number `line` (from 1); one past the last appends.

    Raises EditRefused: there is no such line.
    """
    lines = content.splitlines(keepends=True)
    if not 1 <= line <= len(lines) + 1:
        raise EditRefused(f"there is no line {line}: the file has {len(lines)} lines")
    position = sum(len(part) for part in lines[: line - 1])
    return _put_lines(content, position, text, _is_crlf(content))


def nearest(content: str, search: str) -> Nearest | None:
    """The window of lines most similar to `search`, by difflib's ratio; None when nothing is alike."""
    wanted = search.strip("\r\n").splitlines() or [search]
    lines = content.splitlines()[:MAX_COMPARED_LINES]
    best: tuple[float, int] = (0.0, 0)
    target = "\n".join(line.strip() for line in wanted)
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(target)
    for first in range(max(1, len(lines) - len(wanted) + 1)):
        window = "\n".join(line.strip() for line in lines[first : first + len(wanted)])
        matcher.set_seq1(window)
        if matcher.real_quick_ratio() <= best[0] or matcher.quick_ratio() <= best[0]:
            continue
        ratio = matcher.ratio()
        if ratio > best[0]:
            best = (ratio, first)
    if best[0] < MIN_SIMILARITY:
        return None
    found = lines[best[1] : best[1] + len(wanted)]
    return Nearest(best[1] + 1, tuple(found[:MAX_SHOWN_LINES]), best[0])


def _near_text(content: str, search: str) -> str:
    found = nearest(content, search)
    if found is None:
        return "nothing in the file looks like it"
    last = found.first + len(found.lines) - 1
    where = f"line {found.first}" if last == found.first else f"lines {found.first}-{last}"
    shown = "\n".join(f"    {found.first + i}: {line}" for i, line in enumerate(found.lines))
    wanted = [line.strip() for line in search.strip("\r\n").splitlines()]
    if found.similarity == 1.0 and wanted == [line.strip() for line in found.lines]:
        return f"{where} differ only in white space:\n{shown}"
    return f"the nearest text is at {where} ({found.similarity:.0%} alike):\n{shown}"


def _occurrences(content: str, search: str) -> list[int]:
    found: list[int] = []
    position = content.find(search)
    while position >= 0 and len(found) < 6:
        found.append(content.count("\n", 0, position) + 1)
        position = content.find(search, position + len(search))
    return found


def fitted_patch(patch: str, content: str) -> str:
    """The patch of a file with `content`: its hunks' lines end with CRLF where the file's do throughout."""
    if "\r\n" in patch or not _is_crlf(content):
        return patch
    fitted: list[str] = []
    in_hunk = False
    for line in patch.splitlines(keepends=True):
        in_hunk = line.startswith("@@") or (in_hunk and line[0] in " +-\\\n")
        if in_hunk and line.startswith("\\"):  # the line before it has no end in the file
            fitted[-1] = fitted[-1].replace("\r\n", "\n")
        of_file = in_hunk and line[0] in " +-\n" and line.endswith("\n")
        fitted.append(f"{line[:-1] or ' '}\r\n" if of_file else line)
    return "".join(fitted)


def _is_crlf(content: str) -> bool:
    return "\r\n" in content and content.count("\n") == content.count("\r\n")


def _to_crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _put_lines(content: str, position: int, text: str, crlf: bool) -> str:
    newline = "\r\n" if crlf else "\n"
    if crlf:
        text = _to_crlf(text)
    before, after = content[:position], content[position:]
    if before and not before.endswith("\n"):
        before += newline
    if not text.endswith("\n") and (after or not content or content.endswith("\n")):
        text += newline
    return before + text + after
