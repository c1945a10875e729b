"""Finds security faults; runs inside the sandbox as `python3 -I PROGRAMS security SKIPPED [LISTING]`.

Python files are judged together (`security_python`), every other file by the checkers of `CHECKERS` whose modules are
in the archive. When only some files are named, the other Python files are read too, for what those import of them.
"""

from __future__ import annotations

import gc
import importlib
import os
from functools import partial
from typing import Callable, NamedTuple

from engine.validation.programs import python_source, security_python
from engine.validation.programs.looking import Report, arguments_of, at_hand, done, read, selected, walk

Check = Callable[[bytes, bytes, Report], None]


class Checker(NamedTuple):
    """A module of the archive, its entry point, and the ends of names that it looks at; none for every file."""

    module: str
    entry: str
    suffixes: tuple[bytes, ...]


CHECKERS = (
    Checker("security_javascript", "check", (b".js", b".jsx", b".mjs", b".cjs", b".ts", b".tsx", b".mts", b".cts")),
    Checker("security_javascript", "check_embedded", (b".vue", b".svelte", b".html", b".htm")),
    Checker(
        "security_templates", "check", (b".html", b".htm", b".jinja", b".jinja2", b".j2", b".ejs", b".hbs", b".vue")
    ),
    Checker("secrets", "check", ()),
)
"""One row a checker: `entry(data, path, report)`. A module that is not in the archive is passed over."""

PYTHON = (b".py", b".pyi", b".pyw")
MAX_CONTEXT = 4_000
"""Python files that are read for what named files import of them."""


def main(arguments: list[str]) -> None:
    python_source.with_room(partial(look, *arguments_of(arguments)))


def look(skipped: frozenset[bytes], listing: str | None) -> None:
    gc.disable()  # trees are large, live to the end, and hold no rings that matter
    report, silent = Report(), Quiet()
    checkers = present()
    python = security_python.PythonFiles()
    files = 0
    seen = set()
    missing: dict[str, bytes] = {}
    for path in selected(listing, skipped, report):
        fitting = [check for check, takes in checkers if takes(path)]
        is_python = path.endswith(PYTHON)
        if not fitting and not is_python:
            continue
        at_hand(path)
        data = read(path, report if is_python else silent)
        if data is None:
            continue
        files += 1
        seen.add(os.path.normpath(path))
        if is_python:
            python.add(data, path, report)
        for check in fitting:
            try:
                check(data, path, report)
            except ImportError as error:
                missing.setdefault(error.name or str(error), path)
    if listing is not None and python.asked:
        context(python, skipped, seen, silent)
    for name, path in sorted(missing.items()):
        report.add("tool-missing", f"the image cannot look at files like this one: {name} is missing", path)
    os.ftruncate(2, 0)
    notes = python.judge(report)
    done(report, files, notes)


def context(python: security_python.PythonFiles, skipped: frozenset[bytes], seen: set[bytes], silent: Report) -> None:
    """Read the rest of the project's Python files, which findings may lead through."""
    count = 0
    for path in walk(b".", skipped, silent):
        if path.endswith(PYTHON) and os.path.normpath(path) not in seen and count < MAX_CONTEXT:
            at_hand(path)
            data = read(path, silent)
            if data is not None:
                count += 1
                python.add(data, path, silent, asked=False)


class Quiet(Report):
    """Takes no findings: what cannot be read for its context is no fault of what was asked for."""

    def add(self, rule: str, message: str, path: bytes, severity: str = "error", **more: object) -> None:
        return


def present() -> list[tuple[Check, Callable[[bytes], bool]]]:
    """The checkers whose modules are there, and which files each takes."""
    found: list[tuple[Check, Callable[[bytes], bool]]] = []
    loaded: dict[str, object] = {}
    for row in CHECKERS:
        if row.module not in loaded:
            loaded[row.module] = load(row.module)
        check = getattr(loaded[row.module], row.entry, None)
        if check is not None:
            found.append((check, getattr(loaded[row.module], "takes", partial(ends_with, row.suffixes))))
    return found


def ends_with(suffixes: tuple[bytes, ...], path: bytes) -> bool:
    return path.lower().endswith(suffixes)


def load(name: str) -> object | None:
    whole = f"engine.validation.programs.{name}"
    try:
        return importlib.import_module(whole)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("engine"):
            return None
        raise
