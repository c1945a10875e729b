"""Parses SQL with sqlglot: a file is right when one of the common dialects takes all of it.

Needs `sqlglot`: ImportError where it is missing. sqlglot knows queries, changes and definitions, and little of
procedural code and of what clients (psql, sqlcmd, mysql) read themselves: a file with such things that no dialect
takes is told in a note, not called wrong.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from engine.validation.programs.looking import Report

DIALECTS = ("postgres", "mysql", "sqlite", "tsql", "oracle", "snowflake", "bigquery", "duckdb", "clickhouse", "hive")
MAX_BYTES = 256 << 10

BEYOND = re.compile(
    r"\b(?:PROCEDURE|FUNCTION|TRIGGER|PACKAGE|DECLARE|DELIMITER|EXCEPTION|LOOP|PERFORM|EXECUTE|PRAGMA)\b"
    r"|^\s*(?:\\|GO\b|\.[a-z]|@)|\bCOPY\b.*\bSTDIN\b|\{\{|\{%|<%",
    re.IGNORECASE | re.MULTILINE,
)
"""Procedural code, commands of clients, templates."""


def check(data: bytes, path: bytes, report: Report) -> None:
    import sqlglot

    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    if len(data) > MAX_BYTES:
        report.note(f"SQL files of more than {MAX_BYTES >> 10} KiB are not checked")
        return
    text = data.decode("utf-8", "replace")
    furthest: tuple[tuple[int, int], str] | None = None
    for dialect in DIALECTS:
        fault = _fault(sqlglot, text, dialect)
        if fault is None:
            return
        if furthest is None or fault[0] > furthest[0]:
            furthest = fault
    assert furthest is not None
    if BEYOND.search(text):
        report.note("SQL with procedural code, commands of a client or templates is not checked")
        return
    (line, column), message = furthest
    report.add("syntax-error", message, path, line=line or None, column=column or None)


def _fault(sqlglot: Any, text: str, dialect: str) -> tuple[tuple[int, int], str] | None:
    """Where the dialect stops to follow and why, None when it takes everything."""
    try:
        sqlglot.parse(text, dialect=dialect)
    except sqlglot.errors.ParseError as error:
        first = error.errors[0] if error.errors else {}
        where = (int(first.get("line") or 0), int(first.get("col") or 0))
        near = str(first.get("highlight") or "").split("\n")[0][:40]
        return where, f"{first.get('description') or 'cannot be parsed'}{f' near `{near}`' if near else ''}"
    except sqlglot.errors.TokenError as error:
        return (0, 0), str(error).split("\n")[0][:200]
    except RecursionError:
        return (0, 0), "nested too deeply"
    return None
