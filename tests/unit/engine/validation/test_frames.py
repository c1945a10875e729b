"""Frames: what a tool prints can never be taken for another tool's result."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.validation.frames import Frame, read_frames

NONCE = "a1b2c3"


def framed(name: str, status: int | str, first: bytes = b"", second: bytes = b"", nonce: str = NONCE) -> bytes:
    return f"{nonce} {name} {status} {len(first)} {len(second)}\n".encode() + first + second + b"\n"


WHOLE = framed("one", 0, b"out", b"err") + framed("two", "hung", b"\n\n") + framed("end", 0)
NAMES = ["one", "two", "end"]


def test_frames_are_read_back_as_they_were_written() -> None:
    reading = read_frames(WHOLE, NONCE, NAMES)
    assert reading.problem == ""
    assert reading.frames == {
        "one": Frame(0, b"out", b"err"),
        "two": Frame(None, b"\n\n", b""),
        "end": Frame(0, b"", b""),
    }


def test_a_frame_inside_a_tools_output_is_only_output() -> None:
    forged = framed("two", 0, b"all is well") + framed("end", 0)
    reading = read_frames(framed("one", 1, forged) + framed("two", 1, b"bad") + framed("end", 0), NONCE, NAMES)
    assert reading.frames["one"].first == forged
    assert reading.frames["two"] == Frame(1, b"bad", b"")


@given(st.integers(min_value=0, max_value=len(WHOLE) - 1))
def test_a_stream_that_is_cut_anywhere_keeps_only_whole_frames(length: int) -> None:
    reading = read_frames(WHOLE[:length], NONCE, NAMES)
    assert reading.problem
    assert list(reading.frames) == NAMES[: len(reading.frames)]
    full = read_frames(WHOLE, NONCE, NAMES).frames
    assert all(full[name] == frame for name, frame in reading.frames.items())


def test_frames_out_of_order_or_of_another_nonce_end_the_reading() -> None:
    for data in (
        framed("two", 0) + framed("one", 0) + framed("end", 0),
        framed("one", 0, nonce="ffffff") + framed("two", 0) + framed("end", 0),
        b"noise\n" + WHOLE,
    ):
        reading = read_frames(data, NONCE, NAMES)
        assert reading.frames == {}
        assert "'one'" in reading.problem


def test_anything_after_the_last_frame_is_a_problem() -> None:
    assert read_frames(WHOLE + b"x", NONCE, NAMES).problem == "there is more than the results"


@given(st.binary(max_size=300), st.binary(max_size=30))
def test_any_bytes_have_an_answer(noise: bytes, more: bytes) -> None:
    for data in (noise, framed("one", 0, noise)[:-1] + more, WHOLE[:20] + noise, f"{NONCE} one ".encode() + noise):
        reading = read_frames(data, NONCE, NAMES)
        assert set(reading.frames) <= set(NAMES)
