"""Lints JavaScript and TypeScript with `oxlint`: by the project's `.oxlintrc.json`, else by its default rules.

    python3 -I PROGRAMS lint_javascript SKIPPED [LISTING]

The last line also has `analysed` (how many files oxlint looked at; the project's configuration may leave some out)
and `refused` (what it said of a configuration that it cannot read, "" when all is well). oxlint runs no code here:
rules that the project brings need Node, and are `tool-missing`.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable
from typing import Any

from engine.validation.programs import oxlint
from engine.validation.programs.looking import Report, arguments_of, done, read, selected

COMPONENTS = (b".vue", b".svelte", b".astro")
CODE = re.compile(r"(?:eslint|oxc)\(([^)]*)\)|([^()]+)\(([^)]*)\)")
CONFIGURATIONS = (b".oxlintrc.json", b".oxlintrc.jsonc")
PLUGINS = re.compile(rb'"jsPlugins"\s*:\s*\[\s*[^\]\s]')
ESLINT = ("eslint.config.*", ".eslintrc", ".eslintrc.*")


def main(arguments: list[str]) -> None:
    report = Report()
    skipped, listing = arguments_of(arguments)
    paths = [path for path in selected(listing, skipped, report) if _lints(path, report)]
    analysed, refused = 0, ""
    if paths and oxlint.program() is None:
        report.add("tool-missing", "the image has no linter for JavaScript: oxlint is missing", paths[0])
    elif paths:
        try:
            analysed = oxlint.run([], paths, _telling(report), _crashing(report), complete=False)
        except ValueError as error:
            refused = str(error) or "it said nothing"
    for config in sorted(_with_plugins(paths)):
        report.add("tool-missing", "rules that the project brings (jsPlugins) need Node, and are not run", config)
    if paths and any(glob.glob(pattern) for pattern in ESLINT):
        report.notes["the rules for JavaScript are oxlint's: the project's eslint is not run"] = len(paths)
    done(report, len(paths), [], analysed=analysed, refused=refused)


def _lints(path: bytes, report: Report) -> bool:
    if not path.lower().endswith((*oxlint.SCRIPTS, *COMPONENTS)):
        return False
    data = read(path, report)
    return data is not None and oxlint.known(data, path, report)


def _with_plugins(paths: list[bytes]) -> set[bytes]:
    """The configurations over these files that load code, which oxlint leaves out without a word."""
    directories = {os.path.dirname(path) for path in paths}
    for directory in list(directories):
        while directory not in (b".", b""):
            directory = os.path.dirname(directory)
            directories.add(directory)
    found = set()
    for directory in directories:
        for name in CONFIGURATIONS:
            config = os.path.join(directory or b".", name)
            if os.path.isfile(config) and not os.path.islink(config):
                data = read(config, Report())
                if data is not None and PLUGINS.search(data):
                    found.add(config)
    return found


def _telling(report: Report) -> Callable[[dict[str, Any]], None]:
    def told(record: dict[str, Any]) -> None:
        path, line, column = oxlint.place(record)
        code = record.get("code") or ""
        severity = "error" if record.get("severity") == "error" or not code else "warning"
        more = {"line": line, "column": column, "help_url": record.get("url")}
        category = None if code else "syntax"
        report.add(_rule(code), oxlint.message(record), path, severity, category=category, **more)

    return told


def _crashing(report: Report) -> Callable[[bytes], None]:
    return lambda path: report.add("invalid-syntax", "oxlint crashed on it, or did not come to an end", path)


def _rule(code: str) -> str:
    """`no-debugger` of `eslint(no-debugger)`, `typescript/no-x` of `typescript(no-x)`."""
    parts = CODE.fullmatch(code)
    if not parts:
        return code or "invalid-syntax"
    return parts[1] or f"{parts[2]}/{parts[3]}"
