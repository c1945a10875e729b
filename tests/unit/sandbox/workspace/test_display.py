"""What `display` shows of names that hostile code chose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.workspace.display import display


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"src/main.py", "src/main.py"),
        (b"", "."),
        ("é ü 漢".encode(), "é ü 漢"),
        (b"new\nline\ttab\r", r"new\nline\ttab\r"),
        (b"\x1b]52;c;x\x07", r"\x1b]52;c;x\x07"),
        (b"\xff\xfe", r"\xff\xfe"),
        (b"back\\slash", r"back\\slash"),
        ("a\u202egnp.exe".encode(), r"a\u202egnp.exe"),
        ("zero\u200bwidth".encode(), r"zero\u200bwidth"),
        ("tag\U000e0041".encode(), r"tag\U000e0041"),
        ("filler\u3164".encode(), r"filler\u3164"),
        ("variant\ufe0f".encode(), r"variant\ufe0f"),
        ("\x9b2J".encode(), r"\x9b2J"),
        (b"\xed\xb2\x80", r"\xed\xb2\x80"),  # a surrogate, which is no UTF-8
    ],
)
def test_what_could_deceive_is_escaped(name: bytes, shown: str) -> None:
    assert display(name) == shown


@given(st.binary())
def test_any_name_is_one_printable_line(name: bytes) -> None:
    shown = display(name)
    assert shown.isprintable()
    shown.encode()


@given(st.binary(min_size=1), st.binary(min_size=1))
def test_two_names_never_look_the_same(one: bytes, other: bytes) -> None:
    assert (display(one) == display(other)) == (one == other) or b"." in (one, other)
