"""Parses JSON, TOML and YAML.

TOML needs Python 3.11, YAML the package PyYAML: ImportError where they are missing. YAML is parsed and composed,
never constructed: no tag of a file makes an object.
"""

from __future__ import annotations

import json
import os
import re

from engine.validation.programs.looking import Report

WITH_COMMENTS = re.compile(
    rb"(?:[jt]sconfig[^/]*|tslint|deno|biome|devcontainer|api-extractor|\.eslintrc|\.babelrc|\.swcrc)\.json"
)
"""Files called .json in which their tools allow comments."""

TOML_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")
TEMPLATE = re.compile(rb"\{\{|\{%|<%")
"""What makes a file a template for another program (Helm, Jinja, ...), which is not the language that it is called."""

MAX_YAML_BYTES = 1 << 20
"""PyYAML takes seconds a megabyte."""


def takes_json(path: bytes) -> bool:
    """False for the files called .json in which comments are usual."""
    return not WITH_COMMENTS.fullmatch(os.path.basename(path)) and b"/.vscode/" not in path


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
    import tomllib

    try:
        tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        report.add("invalid-toml", f"not UTF-8 text: {error.reason}", path)
    except (ValueError, RecursionError, MemoryError) as error:
        message = str(error) or type(error).__name__
        place = TOML_PLACE.search(message)
        line, column = (int(place[1]), int(place[2])) if place else (None, None)
        report.add("invalid-toml", TOML_PLACE.sub("", message), path, line=line, column=column)


def check_yaml(data: bytes, path: bytes, report: Report) -> None:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    if len(data) > MAX_YAML_BYTES:
        report.add("too-large", f"not checked: more than {MAX_YAML_BYTES >> 20} MiB", path, "warning")
        return
    try:
        for _ in yaml.compose_all(data, Loader=loader):
            pass
    except yaml.MarkedYAMLError as error:
        if TEMPLATE.search(data):
            report.note("YAML templates are not checked")
            return
        mark = error.problem_mark
        report.add(
            "invalid-yaml",
            " ".join(part for part in (error.context, error.problem) if part),
            path,
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
        )
    except yaml.YAMLError as error:
        report.add("invalid-yaml", str(error), path)
    except (UnicodeDecodeError, RecursionError, MemoryError, ValueError) as error:
        report.add("invalid-yaml", f"cannot be read: {type(error).__name__}", path)
