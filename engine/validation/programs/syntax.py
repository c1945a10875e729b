"""Compiles and parses files; runs inside the sandbox as `python3 -I PROGRAMS syntax SKIPPED [LISTING]`.

Standard library only. SKIPPED are names of directories that are not entered, joined by `:`. LISTING names a file with
one path a line (files and directories, starting with `./`); without it the working directory is walked.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable

from engine.validation.programs.looking import Report, arguments_of, look, shown

try:
    import tomllib
except ImportError:  # before Python 3.11
    tomllib = None  # type: ignore[assignment]

WITH_COMMENTS = re.compile(
    rb"(?:[jt]sconfig[^/]*|tslint|deno|biome|devcontainer|api-extractor|\.eslintrc|\.babelrc|\.swcrc)\.json"
)
"""Files called .json in which their tools allow comments."""

TOML_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


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


def main(arguments: list[str]) -> None:
    notes = [] if tomllib else ["TOML files are not checked: the image's Python has no tomllib"]
    look(*arguments_of(arguments), checker, notes)
