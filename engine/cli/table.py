"""Columns of text. Cells are escaped already; widths count characters as terminals draw them. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns, two spaces apart; the last column is as long as it is."""
    everything = [header, *rows]
    widths = [max(width_of(row[column]) for row in everything) for column in range(len(header))]
    return [_line(row, widths) for row in everything]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell + " " * (width - width_of(cell)) for cell, width in zip(row, widths, strict=True)]
    return "  ".join(cells).rstrip()


def width_of(text: str) -> int:
    """Columns that `text` takes: wide characters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
