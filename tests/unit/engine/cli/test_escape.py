"""What steps, plans and file names say is made safe to print."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.escape import MAX_LINE_BYTES, block, json_text, lines, name_text, one_line, path_json, shown_lines

HOSTILE = [
    b"\x1b[2J",
    b"\x1b]52;c;AAAA\x07",
    b"\x1b]0;title\x07",
    b"\x9b2J",
    b"\x08\x08rm",
    b"\x00",
    b"\x7f",
    "\u202egpj.exe".encode(),
    "\u2066x\u2069".encode(),
    "a\u200bb".encode(),
    "\U000e0041".encode(),
    b"\xff\xfe",
]


def harmless(text: str) -> bool:
    return all(character.isprintable() for character in text)


@pytest.mark.parametrize("data", HOSTILE)
def test_hostile_text_is_shown_as_escapes(data: bytes) -> None:
    assert harmless(one_line(data))
    assert all(harmless(line) for line in lines(data))
    assert "\\" in one_line(data)


def test_one_line_shows_newlines_and_lines_keeps_them() -> None:
    assert one_line("a\nb\tc") == "a\\nb\\tc"
    assert lines("a\n\tb\n") == ["a", "        b"]
    assert block("a\r\nb") == "a\nb"


def test_empty_text_stays_empty() -> None:
    assert one_line("") == ""
    assert one_line(b"") == ""
    assert lines("") == []


def test_ordinary_text_is_left_alone() -> None:
    assert one_line("naïve Größe 日本 🙂") == "naïve Größe 日本 🙂"


def test_backslashes_of_text_stay_and_those_of_names_are_doubled() -> None:
    assert one_line("a\\d\\") == "a\\d\\"
    assert lines("\\d\n") == ["\\d"]
    assert name_text(b"a\\x1b") != name_text(b"a\x1b")


def test_half_a_surrogate_pair_is_escaped() -> None:
    assert harmless(one_line("\ud800x"))
    assert one_line("\udcff") == "\\xff"


def test_a_line_without_end_is_shown_in_pieces() -> None:
    chunk = b"x" * 50_000
    shown = list(shown_lines([chunk, chunk]))
    assert "".join(shown) == "x" * 100_000
    assert max(len(line) for line in shown) == MAX_LINE_BYTES


def test_a_long_line_is_not_cut_inside_a_character() -> None:
    text = "é" * MAX_LINE_BYTES
    for shift in range(3):
        assert "".join(lines("x" * shift + text)) == "x" * shift + text


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_chunks_may_end_anywhere(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[a:b] for a, b in pairwise(edges)]
    assert list(shown_lines(chunks)) == lines(data)


@given(st.text())
def test_every_text_is_harmless(text: str) -> None:
    assert harmless(one_line(text))
    assert all(harmless(line) for line in lines(text))


@given(st.text())
def test_json_is_printable_ascii_and_reads_back(text: str) -> None:
    shown = json_text(text, indent=None)
    assert shown.isascii()
    assert shown.isprintable()
    assert json.loads(shown) == text


def test_a_path_that_is_not_utf8_keeps_its_bytes() -> None:
    assert path_json(b"caf\xe9") == {"path": "caf\\xe9", "path_base64": "Y2Fm6Q=="}
    assert path_json("café".encode()) == {"path": "café"}
