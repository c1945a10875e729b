"""Parses CSS with tinycss2: by the rules of CSS Syntax 3, which forgive nearly everything, and says what they
forgave.

Needs `tinycss2`: ImportError where it is missing. A block, string or comment that is not closed and a brace that
closes nothing are errors, because rules after them are lost; a declaration that a browser would drop is a warning.
"""

from __future__ import annotations

import re
from typing import Any

from engine.validation.programs.looking import Report

MAX_PLACES = 20
TEMPLATE = re.compile(rb"\{\{|\{%|<%")
SENTINEL = "-end-of-file"
LOST = frozenset({"}", ")", "]", "bad-string", "bad-url", "eof-in-string", "eof-in-url"})
"""Kinds of tokens that take others with them."""


def check(data: bytes, path: bytes, report: Report) -> None:
    """Line and column of every fault, as tinycss2 counts them."""
    import tinycss2

    if TEMPLATE.search(data):
        report.note("CSS templates are not checked")
        return
    text = data.decode("utf-8", "replace")
    rules = tinycss2.parse_stylesheet(f"{text}\n{SENTINEL}{{}}", skip_comments=True, skip_whitespace=True)
    if not rules or not _is_sentinel(rules[-1]):
        last = rules[-1] if rules else None
        where = {"line": last.source_line, "column": last.source_column} if last is not None else {}
        report.add("unclosed-block", "what begins here is not closed at the end of the file", path, **where)
    elif rules[-1].type == "qualified-rule" and (begun := _begun(rules[-1])) is not None:
        line, column = begun.source_line, begun.source_column
        report.add("syntax-error", "the file ends within a selector", path, line=line, column=column)
    places = 0
    for node in rules[:-1]:
        for fault in _faults(node, tinycss2):
            if places == MAX_PLACES:
                return
            places += 1
            severity = "error" if fault.kind in LOST else "warning"
            report.add(
                "syntax-error", fault.message, path, severity, line=fault.source_line, column=fault.source_column
            )


def _is_sentinel(node: Any) -> bool:
    prelude = getattr(node, "prelude", None) or []
    return any(getattr(token, "value", None) == SENTINEL for token in prelude)


def _begun(last: Any) -> Any:
    """The first token of a selector that the end of the file cut off, None when there is none."""
    tokens = [token for token in last.prelude if token.type not in ("whitespace", "comment")]
    return tokens[0] if len(tokens) > 1 else None


def _faults(top: Any, tinycss2: Any) -> Any:
    """The parse errors of a rule, of its selector and of the rules in it."""
    waiting = [top]
    while waiting:
        node = waiting.pop()
        if node.type == "error":
            yield node
        yield from (token for token in getattr(node, "prelude", None) or () if token.type == "error")
        if node.type in ("qualified-rule", "at-rule") and node.content is not None:
            inner = tinycss2.parse_blocks_contents(node.content, skip_comments=True, skip_whitespace=True)
            waiting.extend(reversed(inner))
