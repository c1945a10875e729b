"""Parses files of every language that there is a parser for; runs inside the sandbox.

    python3 -I PROGRAMS syntax SKIPPED [LISTING]

SKIPPED are names of directories that are not entered, joined by `:`. LISTING names a file with one path a line (files
and directories, starting with `./`); without it the working directory is walked. PART in the environment says what to
look at: `own` (what this interpreter and programs can parse by themselves), `parsed` (what needs packages of
/opt/tools) or `all`. A file whose parser is missing gives the finding `tool-missing`, once a language. Nothing is run
or imported.
"""

from __future__ import annotations

import os
import re
from typing import Callable

from engine.validation.programs import syntax_css, syntax_data, syntax_python, syntax_shell, syntax_sql, syntax_trees
from engine.validation.programs.looking import Report, arguments_of, look
from engine.validation.programs.syntax_javascript import JavaScript

Check = Callable[[bytes, bytes, Report], None]

_javascript = JavaScript()

OWN: dict[str, Check] = {
    "Python": syntax_python.check,
    "JSON": syntax_data.check_json,
    "TOML": syntax_data.check_toml,
    "shell": syntax_shell.check,
    "JavaScript": _javascript.check,
}
PARSED: dict[str, Check] = {
    "YAML": syntax_data.check_yaml,
    "SQL": syntax_sql.check,
    "CSS": syntax_css.check,
    "HTML": syntax_trees.check_html,
    "Go": syntax_trees.check_with("go"),
    "Rust": syntax_trees.check_with("rust"),
    "Java": syntax_trees.check_with("java"),
    "C": syntax_trees.check_with("c"),
    "Dockerfile": syntax_trees.check_dockerfile,
}
PARTS: dict[str, dict[str, Check]] = {"own": OWN, "parsed": PARSED, "all": {**OWN, **PARSED}}

LANGUAGE: dict[bytes, str] = {
    b".py": "Python", b".pyi": "Python", b".json": "JSON", b".toml": "TOML", b".yaml": "YAML", b".yml": "YAML",
    b".sh": "shell", b".bash": "shell", b".sql": "SQL", b".css": "CSS", b".html": "HTML", b".htm": "HTML",
    b".js": "JavaScript", b".mjs": "JavaScript", b".cjs": "JavaScript", b".jsx": "JavaScript", b".ts": "JavaScript",
    b".mts": "JavaScript", b".cts": "JavaScript", b".tsx": "JavaScript", b".go": "Go", b".rs": "Rust", b".java": "Java",
    b".c": "C", b".dockerfile": "Dockerfile",
}  # fmt: skip
"""By the end of a file's name."""

DOCKERFILE = re.compile(rb"(?:Dockerfile|Containerfile)(?:\.[^/]*)?")


def language_of(path: bytes) -> str | None:
    """The language of a file by its name, None when there is no parser for it here."""
    name = os.path.basename(path)
    if DOCKERFILE.fullmatch(name):
        return "Dockerfile"
    language = LANGUAGE.get(os.path.splitext(name)[1].lower())
    return None if language == "JSON" and not syntax_data.takes_json(path) else language


def main(arguments: list[str]) -> None:
    part = os.environ.get("PART", "all")
    checks = PARTS[part]
    missing: set[str] = set()

    def checker(path: bytes) -> Check | None:
        language = language_of(path)
        check = checks.get(language) if language else None
        if check is None:
            return None

        def or_missing(data: bytes, path: bytes, report: Report) -> None:
            try:
                check(data, path, report)
            except ImportError as error:
                if language not in missing:
                    missing.add(str(language))
                    tool = error.name or str(error)
                    report.add("tool-missing", f"the image has no parser for {language}: {tool} is missing", path)

        return or_missing

    look(*arguments_of(arguments), checker, [], _javascript.finish, part=part)
