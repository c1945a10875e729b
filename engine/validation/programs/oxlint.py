"""Runs `oxlint` over many files at a time and reads what it says.

oxlint is looked for in TOOLS (directories, joined by `:`). It reads the files itself, side by side. A file that it
crashes on is found by halving.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from engine.validation.programs.looking import Report, at_hand

SCRIPTS = (b".js", b".mjs", b".cjs", b".jsx", b".ts", b".mts", b".cts", b".tsx")
MINIFIED = re.compile(rb"[.-]min\.[cm]?js$")
"""oxlint leaves them out by their names."""

MAX_FILES = 500
"""Of one call: their names fit on a command line."""
MAX_CALLS = 200
LIMIT_S = 60
STACK_BYTES = 256 << 20
"""Of each thread: what is nested deeply enough to overflow a usual stack is legal."""


def program() -> str | None:
    """Its path, None when the image has none."""
    return shutil.which("oxlint", path=os.environ.get("TOOLS", ""))


def known(data: bytes, path: bytes, report: Report) -> bool:
    """False, with a note, for files that are called scripts and cannot be read as such."""
    if data.startswith(b"<?xml") or b"\0" in data[:8192]:
        report.note("files called .ts that hold no TypeScript are not checked")
    elif MINIFIED.search(path):
        report.note("minified JavaScript is not checked")
    else:
        return True
    return False


def run(
    flags: Sequence[str],
    paths: Sequence[bytes],
    told: Callable[[dict[str, Any]], None],
    crashed: Callable[[bytes], None],
    complete: bool,
) -> int:
    """Run it over all of `paths`. Returns how many files it looked at.

    told: gets each diagnostic. crashed: gets the files that it crashed on, hung on or (when `complete`) left out.

    Raises:
      ValueError: it refused its configuration; the text is what it said.
      RuntimeError: it crashes on too many files.
    """
    waiting = [list(paths[start : start + MAX_FILES]) for start in range(0, len(paths), MAX_FILES)][::-1]
    calls = looked = 0
    while waiting:
        files = waiting.pop()
        calls += 1
        if calls > MAX_CALLS + len(paths) // MAX_FILES:
            raise RuntimeError("oxlint crashes on too many files")
        at_hand(files[0])
        answer = _answer(flags, files)
        if answer is not None and (answer.get("number_of_files") == len(files) or not complete):
            looked += int(answer["number_of_files"])
            for record in answer["diagnostics"]:
                told(record)
        elif len(files) == 1:
            crashed(files[0])
        else:
            middle = len(files) // 2
            waiting += [files[middle:], files[:middle]]
    return looked


def _answer(flags: Sequence[str], paths: Sequence[bytes]) -> Any:
    """What it says of the files, None when it crashed or hung."""
    try:
        done = subprocess.run(
            [str(program()), *flags, "--no-error-on-unmatched-pattern", "-f", "json", *paths],
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
    begin = done.stdout.find(b'{ "diagnostics"')
    if begin < 0:
        raise ValueError(done.stdout.decode("utf-8", "replace").strip()[:1000])
    return json.loads(done.stdout[begin:])


def place(record: dict[str, Any]) -> tuple[bytes, int | None, int | None]:
    """File, line and column of a diagnostic; it counts columns in bytes."""
    name = record.get("filename", "")
    path = os.fsencode(name if name.startswith("./") else f"./{name}") if name else b""
    spans: list[dict[str, Any]] = [label["span"] for label in record.get("labels", ()) if "span" in label]
    span = spans[0] if spans else {}
    if not path or "line" not in span or "column" not in span:
        return path, span.get("line"), None
    with open(path, "rb") as stream:
        lines = stream.read().split(b"\n")
    line = lines[span["line"] - 1] if span["line"] <= len(lines) else b""
    return path, span["line"], len(line[: span["column"] - 1].decode("utf-8", "replace")) + 1


def message(record: dict[str, Any]) -> str:
    """What it says, with what it advises."""
    advice = record.get("help")
    return f"{record.get('message', '')}{f' ({advice})' if advice else ''}"
