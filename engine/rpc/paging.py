"""Pages of lists: a token says where the next page begins. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from engine.rpc.status import BadFieldError

MAX_PAGE: Final = 1000

T = TypeVar("T")


def start_of(token: str) -> int:
    """Where the page of this token begins. Raises BadFieldError: it is not one of ours."""
    if not token:
        return 0
    if not (token.isascii() and token.isdigit() and len(token) <= 9):
        raise BadFieldError("page_token", "the next_page_token of the page before")
    return int(token)


def size_of(asked: int, default: int) -> int:
    """How many to give. Raises BadFieldError: a negative number."""
    if asked < 0:
        raise BadFieldError("page_size", f"0 to {MAX_PAGE}")
    return min(asked or default, MAX_PAGE)


def page_of(found: Sequence[T], size: int, token: str, default: int) -> tuple[Sequence[T], str]:
    """One page of `found`, and the token of the next; empty on the last."""
    start, count = start_of(token), size_of(size, default)
    rest = len(found) > start + count
    return found[start : start + count], str(start + count) if rest else ""
