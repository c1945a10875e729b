"""Parses JavaScript, TypeScript and JSX with `oxlint`, all its rules off: what is left are faults of the syntax.

ImportError where there is no oxlint in TOOLS (directories, joined by `:`). It reads the files itself, many at a time
and side by side; the project's own configuration of it is not read. A file that it crashes on is found by halving.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import Any

from engine.validation.programs.looking import Report, at_hand

MAX_FILES = 500
"""Of one call: their names fit on a command line."""
MAX_CALLS = 200
LIMIT_S = 60
STACK_BYTES = 256 << 20
"""Of each thread: what is nested deeply enough to overflow a usual stack is legal."""

TEMPLATE = re.compile(rb"\{%|\{\{#|<%")
MINIFIED = re.compile(rb"[.-]min\.[cm]?js$")
"""oxlint leaves them out by their names."""
FLOW = re.compile(rb"\A\s*(?:/\*[\s\S]{0,2000}?@flow|//\s*@flow)")


class JavaScript:
    """Gathers files, and looks at all of them at the end."""

    def __init__(self) -> None:
        self._waiting: list[tuple[bytes, bool]] = []
        self._calls = 0

    def check(self, data: bytes, path: bytes, report: Report) -> None:
        if _oxlint() is None:
            raise ImportError("oxlint")
        if data.startswith(b"<?xml") or b"\0" in data[:8192]:
            report.note("files called .ts that hold no TypeScript are not checked")
        elif MINIFIED.search(path):
            report.note("minified JavaScript is not checked")
        elif FLOW.match(data):
            report.note("JavaScript with Flow types is not checked")
        elif _is_text(data, path, report):
            self._waiting.append((path, bool(TEMPLATE.search(data))))

    def finish(self, report: Report) -> None:
        """Look at what was gathered."""
        for start in range(0, len(self._waiting), MAX_FILES):
            self._look(self._waiting[start : start + MAX_FILES], report)

    def _look(self, files: list[tuple[bytes, bool]], report: Report) -> None:
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise RuntimeError("oxlint crashes on too many files")
        at_hand(files[0][0])
        answer = _answer([path for path, _ in files])
        if answer is not None and answer.get("number_of_files") == len(files):
            templates = {_name(path) for path, template in files if template}
            for record in answer["diagnostics"]:
                _add(record, templates, report)
        elif len(files) == 1:
            report.add("syntax-error", "the parser crashed on it, or did not come to an end", files[0][0])
        else:
            middle = len(files) // 2
            self._look(files[:middle], report)
            self._look(files[middle:], report)


def _oxlint() -> str | None:
    return shutil.which("oxlint", path=os.environ.get("TOOLS", ""))


def _is_text(data: bytes, path: bytes, report: Report) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        report.add("syntax-error", f"not UTF-8 text: {error.reason}", path)
        return False
    return True


def _answer(paths: list[bytes]) -> Any:
    """What oxlint says of the files, None when it crashed or hung."""
    config = os.path.join(os.environ.get("TMPDIR", "/tmp"), "oxlint.json")
    with open(config, "w", encoding="ascii") as stream:
        stream.write("{}")
    flags = ["-c", config, "--disable-nested-config", "--no-ignore", "-A", "all", "-f", "json"]
    try:
        done = subprocess.run(
            [str(_oxlint()), *flags, *paths],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "RUST_MIN_STACK": str(STACK_BYTES)},
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode not in (0, 1):
        return None
    try:
        return json.loads(done.stdout)
    except ValueError:
        return None


def _add(record: Any, templates: set[str], report: Report) -> None:
    name = record.get("filename", "")
    if name in templates:
        report.note("JavaScript templates are not checked")
        return
    spans = [label["span"] for label in record.get("labels", ()) if "span" in label]
    span = spans[0] if spans else {}
    message = record.get("message", "")
    if record.get("help"):
        message = f"{message} ({record['help']})"
    path = os.fsencode(name if name.startswith("./") else f"./{name}")
    line, column = span.get("line"), _column(path, span)
    report.add(
        "syntax-error",
        message,
        path,
        "error" if record.get("severity") == "error" else "warning",
        line=line,
        column=column,
    )


def _column(path: bytes, span: Any) -> int | None:
    """oxlint counts columns in bytes."""
    if "column" not in span or "line" not in span:
        return None
    with open(path, "rb") as stream:
        line = stream.read().split(b"\n")[span["line"] - 1]
    return len(line[: span["column"] - 1].decode("utf-8", "replace")) + 1


def _name(path: bytes) -> str:
    return os.fsdecode(path).removeprefix("./")
