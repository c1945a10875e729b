"""Reads Python source: its tree, and the comments that silence findings on a line.

Comments `# nosec` and `# noqa` are known, with names of rules or without.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import threading
import tokenize
import traceback
import warnings
from collections.abc import Callable
from io import BytesIO

RECURSION = 12_000
STACK_BYTES = 512 << 20

SILENCING = re.compile(r"#\s*(nosec\b|noqa\b)[:\s]*((?:[A-Za-z]+[\w-]*[,\s]*)*)", re.I)
WORDS = frozenset(("nosec", "noqa"))
NAMES = re.compile(r"[BS]\d{3}|[a-z]+(?:-[a-z]+)+|[A-Z]+\d+")
EVERYTHING: frozenset[str] = frozenset(("*",))


def parsed(data: bytes) -> ast.Module | None:
    """The tree of a file; None when there is none to be had."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(data)
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            return None


def silenced_lines(data: bytes, words: frozenset[str] = WORDS) -> dict[int, frozenset[str]]:
    """For each line with a comment that begins with one of `words`, what it silences."""
    found: dict[int, frozenset[str]] = {}
    try:
        for token in tokenize.tokenize(BytesIO(data).readline):
            if token.type == tokenize.COMMENT:
                match = SILENCING.search(token.string)
                if match and match[1].lower() in words:
                    found[token.start[0]] = what_is_silenced(match)
    except (tokenize.TokenError, SyntaxError, ValueError):
        return found
    return found


def what_is_silenced(match: re.Match[str]) -> frozenset[str]:
    """Nothing named is everything; so is the name of a test of bandit that is not a number."""
    named = frozenset(NAMES.findall(match[2]))
    return named or EVERYTHING


def with_room(look: Callable[[], None]) -> None:
    """Run `look` with a stack on which deep nesting is an exception of Python, not the end of the process.

    It runs in a thread; its crash ends the process as one.
    """
    failed: list[str] = []

    def guarded() -> None:
        try:
            look()
        except BaseException:
            failed.append(traceback.format_exc())
            raise

    threading.stack_size(STACK_BYTES)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION)
    work = threading.Thread(target=guarded)
    work.start()
    work.join()
    sys.setrecursionlimit(before)
    if failed:
        sys.stderr.write(failed[0])
        sys.stdout.flush()
        os._exit(1)
