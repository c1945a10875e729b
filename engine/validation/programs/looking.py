"""What every program here shares: which files to look at, reading them, printing findings.

Links are not followed, only regular files are read, and what is printed is one JSON object a line: a finding
(`rule, severity, message, file, line, ...`) each, and at the very end `{"done": true, "files": N, "left_out": N,
"others_left_out": N, "notes": [...]}`: without that line the work was not finished. stderr must be a regular file: it
holds the name of the file at hand, so that a crash names its cause.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

MAX_LISTED = 500
MAX_OTHERS = 300
MAX_NOTES = 20
MAX_BYTES = 4 << 20


class Report:
    """Prints findings as they come, up to MAX_LISTED errors and MAX_OTHERS others, and counts what it leaves out.

    more: `line, column, end_line, end_column`, and what else a finding has.
    """

    def __init__(self) -> None:
        self.listed: Counter[bool] = Counter()
        self.left_out = 0
        self.others_left_out = 0
        self.notes: Counter[str] = Counter()

    def add(self, rule: str, message: str, path: bytes, severity: str = "error", **more: Any) -> None:
        grave = severity == "error"
        if self.listed[grave] >= (MAX_LISTED if grave else MAX_OTHERS):
            self.left_out += grave
            self.others_left_out += not grave
            return
        self.listed[grave] += 1
        record = {"rule": rule, "severity": severity, "message": message[:500], "file": shown(path)}
        emit({**record, **{key: value for key, value in more.items() if value is not None}})

    def note(self, text: str) -> None:
        """Something to know about the file at hand that is no fault; told once, with the number of files."""
        self.notes[text] += 1


def emit(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")


def shown(path: bytes) -> str:
    return path[2:].decode("utf-8", "surrogateescape") if path.startswith(b"./") else os.fsdecode(path)


def read(path: bytes, report: Report) -> bytes | None:
    """The file's bytes; None when it is not a regular file or, with a finding, cannot be read or is too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if not os.path.islink(path):
            report.add("unreadable", error.strerror or "cannot be opened", path)
        return None
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = stream.read(MAX_BYTES + 1)
    if len(data) <= MAX_BYTES:
        return data
    source = path.endswith((b".py", b".pyi"))
    report.add("too-large", f"not checked: more than {MAX_BYTES >> 20} MiB", path, "error" if source else "warning")
    return None


def walk(top: bytes, skipped: frozenset[bytes], report: Report) -> Iterator[bytes]:
    """Files below `top`, in order of their names, without links and virtual environments."""

    def unreadable(error: OSError) -> None:
        report.add("unreadable", error.strerror or "cannot be opened", os.fsencode(error.filename))

    for directory, names, files in os.walk(top, onerror=unreadable):
        if b"pyvenv.cfg" in files and directory != top:
            names.clear()
            continue
        names[:] = sorted(name for name in names if name not in skipped)
        yield from (os.path.join(directory, name) for name in sorted(files))


def selected(listing: str | None, skipped: frozenset[bytes], report: Report) -> Iterator[bytes]:
    if listing is None:
        yield from walk(b".", skipped, report)
        return
    with open(listing, "rb") as stream:
        for path in stream.read().split(b"\n"):
            if path and os.path.isdir(path) and not os.path.islink(path):
                yield from walk(path, skipped, report)
            elif path and os.path.lexists(path):
                yield path


def arguments_of(arguments: list[str]) -> tuple[frozenset[bytes], str | None]:
    """SKIPPED and LISTING, as every program takes them."""
    skipped = frozenset(os.fsencode(name) for name in arguments[0].split(":"))
    return skipped, arguments[1] if len(arguments) > 1 else None


def look(
    skipped: frozenset[bytes],
    listing: str | None,
    checker: Callable[[bytes], Callable[[bytes, bytes, Report], None] | None],
    notes: list[str],
    finish: Callable[[Report], None] | None = None,
    **more: Any,
) -> None:
    """Hand every file that `checker` has a check for to that check, then say that it is done.

    A check gets the file's bytes, its path and where to report. finish: what is left to do when all have been
    seen. more: for the last line.
    """
    report = Report()
    files = 0
    for path in selected(listing, skipped, report):
        check = checker(path)
        if check is None:
            continue
        at_hand(path)
        data = read(path, report)
        if data is not None:
            files += 1
            check(data, path, report)
    if finish is not None:
        finish(report)
    done(report, files, notes, **more)


def at_hand(path: bytes) -> None:
    """Say on stderr, in place of what was there, which file is being looked at."""
    os.ftruncate(2, 0)
    os.pwrite(2, path, 0)


def done(report: Report, files: int, notes: list[str], **more: Any) -> None:
    """The last line; `more` is what else the reader of this program wants to know."""
    os.ftruncate(2, 0)
    told = [f"{text} ({count} file{'s' * (count != 1)})" for text, count in sorted(report.notes.items())]
    left_out = {"left_out": report.left_out, "others_left_out": report.others_left_out}
    emit({"done": True, "files": files, **left_out, "notes": [*notes, *told][:MAX_NOTES], **more})
