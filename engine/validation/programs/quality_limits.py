"""How large things may be: our limits, and those of the project's own configuration. Of the check `quality`.

Read are ruff's (`max-complexity`, `max-args`, `max-nested-blocks`), complexipy's, flake8's and those of oxlint or
eslint as JSON. What stands nearer to a file comes before what stands above it. Configuration cannot be trusted: what
cannot be read says nothing, and nothing in it is run.
"""

from __future__ import annotations

import configparser
import importlib
import json
import os
import re
from typing import Any, Mapping, NamedTuple

from engine.validation.programs.looking import Report, read

COGNITIVE = "cognitive-complexity"
CYCLOMATIC = "cyclomatic-complexity"
LENGTH = "too-long-function"
PARAMETERS = "too-many-parameters"
NESTING = "nesting"
FILE = "too-long-file"
INDEX = "maintainability"


class Limit(NamedTuple):
    """More than `soft` is a warning, more than `hard` an error. soft: None when nobody wants to know."""

    soft: int | None
    hard: int | None = None


LIMITS: Mapping[str, Limit] = {
    COGNITIVE: Limit(15, 50),
    CYCLOMATIC: Limit(10, 30),
    LENGTH: Limit(80),
    PARAMETERS: Limit(7),
    NESTING: Limit(5),
    FILE: Limit(1000),
    INDEX: Limit(20),
}
"""Of `maintainability` less than the limit is too little."""

ESLINT = {
    "complexity": (CYCLOMATIC, 20),
    "max-lines-per-function": (LENGTH, 50),
    "max-depth": (NESTING, 4),
    "max-params": (PARAMETERS, 3),
    "max-lines": (FILE, 300),
    "sonarjs/cognitive-complexity": (COGNITIVE, 15),
}
"""Rules, what they limit here, and the limit that they have when none is given."""

MAX_CONFIGURATION = 256 << 10
LINE_COMMENT = re.compile(r'("(?:[^"\\\n]+|\\.)*"?)|//[^\n]*|/\*(?:[^*]+|\*(?!/))*(?:\*/)?')

Limits = Mapping[str, Limit]


class Configuration:
    """The limits for each file; directories are read once."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.known: dict[tuple[bytes, bool], Limits] = {}

    def limits_for(self, path: bytes, python: bool) -> Limits:
        """path: below the working directory. python: else what JavaScript and the others are held to."""
        directory = os.path.dirname(os.path.normpath(path))
        chain = []
        while (directory, python) not in self.known:
            chain.append(directory)
            if not directory:
                break
            directory = os.path.dirname(directory)
        limits = self.known.get((directory, python), LIMITS)
        for it in reversed(chain):
            limits = self.known[it, python] = over(limits, self.of_directory(it, python))
        return limits

    def of_directory(self, directory: bytes, python: bool) -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        for name, reader in PYTHON_FILES if python else OTHER_FILES:
            text = self.text(os.path.join(directory or b".", name))
            if text is not None:
                found.update(reader(text, self.report))
        return found

    def text(self, path: bytes) -> str | None:
        if not os.path.isfile(path):
            return None
        data = read(path, Unheard())
        if data is None or len(data) > MAX_CONFIGURATION:
            return None
        return data.decode("utf-8", "replace")


class Unheard(Report):
    """Takes no findings: configuration that cannot be read is for others to tell."""

    def add(self, rule: str, message: str, path: bytes, severity: str = "error", **more: object) -> None:
        return


def over(limits: Limits, own: Mapping[str, int | None]) -> Limits:
    """`limits` with what a project says itself; a limit of its own that is above the hard one moves that too."""
    made = dict(limits)
    for rule, soft in own.items():
        hard = LIMITS[rule].hard
        made[rule] = Limit(soft, None if hard is None or soft is None else max(hard, soft))
    return made


def of_pyproject(text: str, report: Report) -> dict[str, int | None]:
    tools = table(toml(text, report), "tool")
    return {**of_ruff(table(tools, "ruff")), **of_complexipy(table(tools, "complexipy"))}


def of_ruff_toml(text: str, report: Report) -> dict[str, int | None]:
    return of_ruff(toml(text, report))


def of_complexipy_toml(text: str, report: Report) -> dict[str, int | None]:
    return of_complexipy(toml(text, report))


def of_ruff(settings: Mapping[str, Any]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for part in (settings, table(settings, "lint")):
        take(found, CYCLOMATIC, table(part, "mccabe").get("max-complexity"))
        take(found, PARAMETERS, table(part, "pylint").get("max-args"))
        take(found, NESTING, table(part, "pylint").get("max-nested-blocks"))
    return found


def of_complexipy(settings: Mapping[str, Any]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    take(found, COGNITIVE, settings.get("max-complexity-allowed"))
    return found


def of_flake8(text: str, _: Report) -> dict[str, int | None]:
    """A negative limit turns the rule off, as flake8 has it."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    found: dict[str, int | None] = {}
    try:
        parser.read_string(text)
    except (configparser.Error, ValueError):
        return found
    if not parser.has_section("flake8"):
        return found
    for rule, key in ((CYCLOMATIC, "max-complexity"), (COGNITIVE, "max-cognitive-complexity")):
        value = parser.get("flake8", key, fallback="") or parser.get("flake8", key.replace("-", "_"), fallback="")
        if re.fullmatch(r"-\d{1,6}", value.strip()):
            found[rule] = None
        elif re.fullmatch(r"\d{1,6}", value.strip()):
            found[rule] = int(value)
    return found


def of_eslint(text: str, _: Report) -> dict[str, int | None]:
    """`"rule": "off" | "warn" | ["error", 10 | {"max": 10}]`; comments are let pass."""
    try:
        rules = table(json.loads(LINE_COMMENT.sub(lambda it: it[1] or " ", text)), "rules")
    except (ValueError, RecursionError):
        return {}
    found: dict[str, int | None] = {}
    for name, (rule, usual) in ESLINT.items():
        if name in rules:
            value = rules[name]
            level, given = (value[0], value[1:]) if isinstance(value, list) and value else (value, [])
            limit = given[0] if given else usual
            limit = limit.get("max", usual) if isinstance(limit, dict) else limit
            if level in ("off", "allow", 0):
                found[rule] = None
            else:
                take(found, rule, limit)
    return found


def take(found: dict[str, int | None], rule: str, value: object) -> None:
    if type(value) is int and 0 <= value <= 1_000_000:
        found[rule] = value


def table(value: object, key: str) -> Mapping[str, Any]:
    """The table at `key`; an empty one where there is none."""
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def toml(text: str, report: Report) -> Mapping[str, Any]:
    try:
        reader = importlib.import_module("tomllib")
    except ImportError:
        report.note("limits in TOML are not known: the image's Python is older than 3.11")
        return {}
    try:
        found: Mapping[str, Any] = reader.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found


PYTHON_FILES = (
    (b"tox.ini", of_flake8),
    (b"setup.cfg", of_flake8),
    (b".flake8", of_flake8),
    (b"pyproject.toml", of_pyproject),
    (b"ruff.toml", of_ruff_toml),
    (b".ruff.toml", of_ruff_toml),
    (b"complexipy.toml", of_complexipy_toml),
)
"""Of two in one directory the later one holds."""

OTHER_FILES = ((b".eslintrc", of_eslint), (b".eslintrc.json", of_eslint), (b".oxlintrc.json", of_eslint))
