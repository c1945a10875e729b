"""Compiles and parses files; runs inside the sandbox as `python3 -I -c TEXT SKIPPED [LISTING]`.

Standard library only, any Python from 3.8 on; the controller never imports it, its text is what counts. SKIPPED are
names of directories that are not entered, joined by `:`. LISTING names a file with one path a line (files and
directories, starting with `./`); without it the working directory is walked. Links are not followed and only
regular files are read.

Prints one JSON object a line: a finding (`rule, severity, message, file, line, ...`) each, and at the very end
`{"done": true, "files": N, "left_out": N, "notes": [...]}`: without that line the work was not finished. stderr
must be a regular file: it holds the name of the file at hand, so that a crash of the compiler names its cause.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

try:
    import tomllib
except ImportError:  # before Python 3.11
    tomllib = None  # type: ignore[assignment]

MAX_LISTED = 500
MAX_BYTES = 4 << 20

WITH_COMMENTS = re.compile(
    rb"(?:[jt]sconfig[^/]*|tslint|deno|biome|devcontainer|api-extractor|\.eslintrc|\.babelrc|\.swcrc)\.json"
)
"""Files called .json in which their tools allow comments."""

TOML_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


class Report:
    """Prints findings as they come, up to MAX_LISTED, and counts what it leaves out."""

    def __init__(self) -> None:
        self.listed = 0
        self.left_out = 0

    def add(self, rule: str, message: str, path: bytes, severity: str = "error", **place: int | None) -> None:
        if self.listed >= MAX_LISTED:
            self.left_out += 1
            return
        self.listed += 1
        record = {"rule": rule, "severity": severity, "message": message[:500], "file": shown(path)}
        emit({**record, **{key: value for key, value in place.items() if value is not None}})


def emit(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")


def shown(path: bytes) -> str:
    return path[2:].decode("utf-8", "surrogateescape") if path.startswith(b"./") else os.fsdecode(path)


def check_python(data: bytes, path: bytes, report: Report) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            compile(data, shown(path).encode("ascii", "backslashreplace").decode(), "exec", 0, True)
        except SyntaxError as error:
            end = (getattr(error, "end_lineno", None), getattr(error, "end_offset", None))
            report.add(
                {"IndentationError": "indentation-error", "TabError": "tab-error"}.get(
                    type(error).__name__, "syntax-error"
                ),
                error.msg or "invalid syntax",
                path,
                line=error.lineno,
                column=error.offset,
                end_line=end[0],
                end_column=end[1],
            )
        except (ValueError, OverflowError, RecursionError, MemoryError) as error:
            report.add("syntax-error", f"cannot be compiled: {str(error) or type(error).__name__}", path)
    for warning in caught:
        if issubclass(warning.category, (SyntaxWarning, DeprecationWarning)):
            report.add("syntax-warning", str(warning.message), path, "warning", line=warning.lineno)


def check_json(data: bytes, path: bytes, report: Report) -> None:
    try:
        json.loads(data, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        report.add("invalid-json", error.msg, path, line=error.lineno, column=error.colno)
    except UnicodeDecodeError as error:
        report.add("invalid-json", f"not UTF-8 text: {error.reason}", path)
    except (RecursionError, MemoryError):
        report.add("invalid-json", "nested too deeply", path)


def check_toml(data: bytes, path: bytes, report: Report) -> None:
    try:
        tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        report.add("invalid-toml", f"not UTF-8 text: {error.reason}", path)
    except (ValueError, RecursionError, MemoryError) as error:
        message = str(error) or type(error).__name__
        place = TOML_PLACE.search(message)
        line, column = (int(place[1]), int(place[2])) if place else (None, None)
        report.add("invalid-toml", TOML_PLACE.sub("", message), path, line=line, column=column)


def checker(path: bytes) -> Callable[[bytes, bytes, Report], None] | None:
    if path.endswith((b".py", b".pyi")):
        return check_python
    if path.endswith(b".toml") and tomllib is not None:
        return check_toml
    if path.endswith(b".json") and not WITH_COMMENTS.fullmatch(os.path.basename(path)) and b"/.vscode/" not in path:
        return check_json
    return None


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


def main(arguments: list[str]) -> None:
    skipped = frozenset(os.fsencode(name) for name in arguments[0].split(":"))
    report = Report()
    files = 0
    for path in selected(arguments[1] if len(arguments) > 1 else None, skipped, report):
        check = checker(path)
        if check is None:
            continue
        os.ftruncate(2, 0)
        os.pwrite(2, path, 0)
        data = read(path, report)
        if data is not None:
            files += 1
            check(data, path, report)
    os.ftruncate(2, 0)
    notes = [] if tomllib else ["TOML files are not checked: the image's Python has no tomllib"]
    emit({"done": True, "files": files, "left_out": report.left_out, "notes": notes})


if __name__ == "__main__":
    main(sys.argv[1:])
