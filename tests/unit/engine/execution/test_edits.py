"""Edits fit exactly or are refused with what is near."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.execution.edits import (
    EditRefused,
    fitted_patch,
    insert_at_line,
    insert_beside,
    nearest,
    replace_exact,
)

GCD = "def gcd(a, b):\n    while b:\n        a, b = b, a - b\n    return a\n"


def test_one_occurrence_is_replaced() -> None:
    assert "a % b" in replace_exact(GCD, "a - b", "a % b")


def test_what_does_not_occur_is_refused_with_the_nearest_lines() -> None:
    with pytest.raises(EditRefused, match=r"line 3 .*\n    3:         a, b = b, a - b"):
        replace_exact(GCD, "a, b = b, b - a", "x")


def test_a_difference_in_white_space_only_is_said() -> None:
    with pytest.raises(EditRefused, match="differ only in white space"):
        replace_exact(GCD, "while b:\n    a, b = b, a - b", "x")


def test_several_occurrences_are_refused_unless_all_are_asked_for() -> None:
    with pytest.raises(EditRefused, match=r"occurs 2 times \(at lines 1, 2\)"):
        replace_exact("x\nx\n", "x", "y")
    assert replace_exact("x\nx\n", "x", "y", every=True) == "y\ny\n"


def test_text_that_resembles_nothing_says_so() -> None:
    with pytest.raises(EditRefused, match="nothing in the file looks like it"):
        replace_exact(GCD, "@@@@@@@@@@@@@@@@@", "x")


def test_an_empty_search_is_refused() -> None:
    with pytest.raises(EditRefused):
        replace_exact(GCD, "", "x")


def test_lf_in_the_plan_matches_a_crlf_file_and_keeps_its_endings() -> None:
    assert replace_exact("a\r\nb\r\n", "a\nb", "c\nd") == "c\r\nd\r\n"
    assert replace_exact("a\r\nb\r\n", "a", "c\nd") == "c\r\nd\r\nb\r\n"
    assert replace_exact("a\r\nb\r\n", "a\r\n", "c\r\nd\n") == "c\r\nd\r\nb\r\n"
    assert insert_beside("a\r\nb\r\n", "a", "x", after=True) == "a\r\nx\r\nb\r\n"


def test_a_patch_written_with_lf_gets_the_line_endings_of_its_file() -> None:
    head = "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n"
    patch = head + " a\n\n-c\n\\ No newline at end of file\n+d\n"
    assert fitted_patch(patch, "a\r\n\r\nc") == head + " a\r\n \r\n-c\n\\ No newline at end of file\n+d\r\n"
    assert fitted_patch(patch, "a\n\nc") == patch
    assert fitted_patch(patch, "a\r\n\nc") == patch
    in_crlf = head + " a\r\n \r\n-c\r\n+d\r\n"
    assert fitted_patch(in_crlf, "a\r\n\r\nc\r\n") == in_crlf


@pytest.mark.parametrize(
    ("content", "anchor", "after", "expected"),
    [
        ("a\nb\n", "a", True, "a\nx\nb\n"),
        ("a\nb\n", "b", False, "a\nx\nb\n"),
        ("a\nb", "b", True, "a\nb\nx"),
        ("a\nb\n", "b", True, "a\nb\nx\n"),
        ("  ab\n", "b", False, "x\n  ab\n"),
        ("a\nb\nc\n", "a\nb\n", True, "a\nb\nx\nc\n"),
    ],
)
def test_inserted_text_is_on_lines_of_its_own(content: str, anchor: str, after: bool, expected: str) -> None:
    assert insert_beside(content, anchor, "x", after=after) == expected


@pytest.mark.parametrize(("line", "expected"), [(1, "x\na\nb\n"), (2, "a\nx\nb\n"), (3, "a\nb\nx\n")])
def test_a_line_number_says_before_which_line(line: int, expected: str) -> None:
    assert insert_at_line("a\nb\n", line, "x") == expected


def test_a_line_that_is_not_there_is_refused() -> None:
    with pytest.raises(EditRefused, match="the file has 2 lines"):
        insert_at_line("a\nb\n", 4, "x")
    assert insert_at_line("", 1, "x") == "x\n"


def test_an_ambiguous_anchor_is_refused() -> None:
    with pytest.raises(EditRefused, match="occurs 2 times"):
        insert_beside("a\na\n", "a", "x", after=True)


@given(st.text(alphabet="ab \n", max_size=60), st.text(alphabet="ab \n", min_size=1, max_size=8))
def test_replacing_and_replacing_back_is_identity(content: str, search: str) -> None:
    try:
        changed = replace_exact(content, search, "\x00marker\x00")
    except EditRefused:
        return
    assert replace_exact(changed, "\x00marker\x00", search) == content


@given(st.text(max_size=200), st.text(min_size=1, max_size=30))
def test_nearest_never_fails_and_names_real_lines(content: str, search: str) -> None:
    found = nearest(content, search)
    if found is not None:
        lines = content.splitlines()
        assert lines[found.first - 1 : found.first - 1 + len(found.lines)] == list(found.lines)
