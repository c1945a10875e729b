"""Checks the types of TypeScript with the native `tsc`, project by project, without writing anything.

    python3 -I PROGRAMS type_typescript SKIPPED [LISTING]

The project of a file is the nearest `tsconfig.json` (or `jsconfig.json`) above it, and what that refers to. Files
that are in no project are checked together, not strictly. Of a project's faults those in the files at hand are told.
`tsc` is looked for in TOOLS (directories, joined by `:`). The last line also has `analysed`: how many of the files it
looked at.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from engine.validation.programs.looking import Report, arguments_of, at_hand, done, read, selected

TYPESCRIPT = (".ts", ".tsx", ".mts", ".cts")
SCRIPTS = (*TYPESCRIPT, ".js", ".jsx", ".mjs", ".cjs")
CONFIGURATIONS = ("tsconfig.json", "jsconfig.json")
MAX_PROJECTS = 100
LIMIT_S = 600

FAULT = re.compile(
    r"(?:(?P<file>.+?)\((?P<line>\d+),(?P<column>\d+)\): )?(?P<kind>error|warning) (?P<code>TS\d+): (?P<text>.*)"
)
LOOSE = (
    "--ignoreConfig", "--strict", "false", "--target", "esnext", "--module", "esnext", "--moduleResolution", "bundler",
    "--jsx", "preserve", "--skipLibCheck", "--allowImportingTsExtensions", "--types", "",
)  # fmt: skip
"""What holds for files in no project."""


def main(arguments: list[str]) -> None:
    skipped, listing = arguments_of(arguments)
    report = Report()
    files = [path for path in selected(listing, skipped, report) if _typed(path, report)]
    by_project: dict[str | None, set[str]] = {}
    for path in files:
        by_project.setdefault(_project(os.fsdecode(path)), set()).add(os.path.abspath(os.fsdecode(path)))
    loose = {name for name in by_project.pop(None, ()) if name.endswith(TYPESCRIPT)}
    looked: set[str] = set()
    if (by_project or loose) and _tsc() is None:
        report.add("tool-missing", "the image has no type checker for TypeScript: tsc is missing", files[0])
        by_project, loose = {}, set()
    for project, wanted in sorted(by_project.items(), key=lambda item: str(item[0])):
        looked |= _check_project(str(project), wanted, report)
    if loose:
        looked |= _run([*LOOSE, *sorted(loose)], loose, report)
    wanted_all = {name for names in (*by_project.values(), loose) for name in names}
    left = {name for name in wanted_all if name.endswith(TYPESCRIPT)} - looked
    if left:
        report.notes["TypeScript that its project leaves out is not checked"] = len(left)
    done(report, len(looked) + len(left), [], analysed=len(looked))


def _typed(path: bytes, report: Report) -> bool:
    if not os.fsdecode(path).endswith(SCRIPTS):
        return False
    data = read(path, report)
    return data is not None and not data.startswith(b"<?xml") and b"\0" not in data[:8192]


def _project(path: str) -> str | None:
    """The configuration of the nearest directory above the file that has one."""
    directory = os.path.dirname(os.path.abspath(path))
    top = os.getcwd()
    while directory == top or directory.startswith(top + os.sep):
        for name in CONFIGURATIONS:
            config = os.path.join(directory, name)
            if os.path.isfile(config) and not os.path.islink(config):
                return config
        directory = os.path.dirname(directory)
    return None


def _check_project(project: str, wanted: set[str], report: Report) -> set[str]:
    """Check it and what it refers to. Returns which of `wanted` were looked at."""
    looked: set[str] = set()
    waiting, seen = [project], {project}
    while waiting and len(seen) <= MAX_PROJECTS:
        config = waiting.pop()
        looked |= _run(["-p", config], wanted, report)
        for reference in _references(config):
            if reference not in seen:
                seen.add(reference)
                waiting.append(reference)
    return looked


def _references(config: str) -> list[str]:
    """Configurations in the workspace that one refers to."""
    answer = _tsc_output(["-p", config, "--showConfig"])
    try:
        references = json.loads(answer or "").get("references") or []
    except (ValueError, AttributeError):
        return []
    found = []
    for reference in references:
        path = os.path.abspath(os.path.join(os.path.dirname(config), str(reference.get("path", ""))))
        path = os.path.join(path, CONFIGURATIONS[0]) if os.path.isdir(path) else path
        if os.path.isfile(path) and os.path.realpath(path).startswith(os.getcwd() + os.sep):
            found.append(path)
    return found


def _run(words: Sequence[str], wanted: set[str], report: Report) -> set[str]:
    """Check one project, or some files. Faults of other files than `wanted` are not told, the project's own are."""
    about = words[1] if words[0] == "-p" else min(wanted)
    at_hand(os.fsencode(about))
    answer = _tsc_output(["--noEmit", "--composite", "false", "--incremental", "false", "--listFiles", *words])
    if answer is None:
        raise RuntimeError("tsc crashed, or did not come to an end")
    looked, fault = set(), None
    for line in answer.splitlines():
        matched = FAULT.fullmatch(line)
        if matched:
            _tell(fault, about, wanted, report)
            fault = matched.groupdict()
        elif line.startswith("  ") and fault is not None:
            fault["text"] += "\n" + line.strip()
        elif line.startswith("/"):
            looked.add(line)
    _tell(fault, about, wanted, report)
    return looked & wanted


def _tell(fault: dict[str, Any] | None, config: str, wanted: set[str], report: Report) -> None:
    """config: what faults of no file are about."""
    if fault is None:
        return
    if fault["file"] is None:
        report.add(fault["code"], fault["text"], b"./" + os.fsencode(os.path.relpath(config)), fault["kind"])
        return
    full = os.path.abspath(fault["file"])
    if full not in wanted and not full.endswith(".json"):
        return
    path = b"./" + os.fsencode(os.path.relpath(full))
    line, units = int(fault["line"]), int(fault["column"])
    report.add(fault["code"], fault["text"], path, fault["kind"], line=line, column=_column(path, line, units))


def _column(path: bytes, line: int, units: int) -> int:
    """tsc counts in UTF-16."""
    try:
        with open(path, "rb") as stream:
            text = stream.read().split(b"\n")[line - 1].decode("utf-8", "replace")
    except (OSError, IndexError):
        return units
    before = text.encode("utf-16-le", "surrogatepass")[: 2 * (units - 1)]
    return len(before.decode("utf-16-le", "replace")) + 1


def _tsc() -> str | None:
    return shutil.which("tsc", path=os.environ.get("TOOLS", ""))


def _tsc_output(words: Sequence[str]) -> str | None:
    """What it printed, None when it crashed or hung."""
    try:
        done = subprocess.run(
            [str(_tsc()), "--pretty", "false", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode in (0, 1, 2) else None
