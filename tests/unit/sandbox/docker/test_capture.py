"""Bounded keeping of output."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.docker.capture import OutputCapture


@given(chunks=st.lists(st.binary(max_size=20), max_size=20), keep=st.integers(0, 60))
def test_head_and_tail_are_the_streams_own_and_nothing_is_miscounted(chunks: list[bytes], keep: int) -> None:
    capture = OutputCapture(keep)
    for chunk in chunks:
        capture.add(chunk)
    text, kept = b"".join(chunks), capture.result()
    assert kept.total_bytes == len(text)
    assert len(kept.head) + len(kept.tail) == min(len(text), keep)
    assert text.startswith(kept.head)
    assert text.endswith(kept.tail)


def test_all_of_it_is_kept_when_it_fits() -> None:
    capture = OutputCapture(10)
    capture.add(b"01234")
    capture.add(b"56789")
    kept = capture.result()
    assert (kept.text(), kept.omitted_bytes) == (b"0123456789", 0)


def test_the_middle_is_left_out_and_said_so() -> None:
    capture = OutputCapture(10)
    capture.add(b"aaaaa" + b"b" * 90 + b"ccccc")
    assert capture.result().text() == b"aaaaa\n[... 90 bytes left out ...]\nccccc"


def test_a_stream_that_goes_on_holds_no_more_memory() -> None:
    capture = OutputCapture(1000)
    for _ in range(10_000):
        capture.add(b"x" * 300)
        assert len(capture._head) + len(capture._tail) <= 1500
    assert capture.result().total_bytes == 3_000_000
