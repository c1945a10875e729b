"""Frames, trailers, and the stream that joins them to a socket."""

from __future__ import annotations

import asyncio
import socket
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.docker.stream import AttachStream, FrameDecoder, TrailerFilter
from sandbox.errors import SandboxUnavailableError
from sandbox.spec import Stream

NONCE = "fedcba9876543210" * 2
TRAILER = b"\x1e%s 007\n" % NONCE.encode()


def frame(stream: int, payload: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(payload)) + payload


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` in pieces, cut at these places."""
    places = [0, *sorted(place % (len(data) + 1) for place in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(
    frames=st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=8),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_streams_come_out_whole_however_the_bytes_arrive(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    decoder = FrameDecoder()
    got = {Stream.STDOUT: b"", Stream.STDERR: b""}
    for piece in cut(b"".join(frame(*one) for one in frames), cuts):
        for stream, payload in decoder.feed(piece):
            got[stream] += payload
    assert got[Stream.STDOUT] == b"".join(payload for kind, payload in frames if kind == 1)
    assert got[Stream.STDERR] == b"".join(payload for kind, payload in frames if kind == 2)


def test_a_payload_is_handed_on_before_its_frame_is_complete() -> None:
    decoder = FrameDecoder()
    data = frame(1, b"x" * 1000)
    assert sum(len(payload) for _, payload in decoder.feed(data[:500])) == 492


def test_what_is_no_attach_stream_is_refused() -> None:
    with pytest.raises(SandboxUnavailableError):
        list(FrameDecoder().feed(b"HTTP/1.1 500"))


@given(
    before=st.binary(max_size=30) | st.sampled_from([b"\x1e", TRAILER[:20], TRAILER[:-1], b"\x1e\x1e"]),
    after=st.binary(max_size=10),
    cuts=st.lists(st.integers(0, 100), max_size=10),
)
def test_output_before_the_trailer_is_exact_and_after_it_dropped(before: bytes, after: bytes, cuts: list[int]) -> None:
    one = TrailerFilter(NONCE)
    output = b"".join(one.feed(piece) for piece in cut(before + TRAILER + after, cuts))
    assert (output, one.exit_code, one.rest()) == (before, 7, b"")


@given(text=st.binary(max_size=60), cuts=st.lists(st.integers(0, 100), max_size=10))
def test_without_a_trailer_everything_is_output(text: bytes, cuts: list[int]) -> None:
    one = TrailerFilter(NONCE)
    output = b"".join(one.feed(piece) for piece in cut(text, cuts))
    assert (output + one.rest(), one.exit_code) == (text, None)


@pytest.mark.parametrize(
    "almost",
    [
        b"\x1e" + b"0" * 32 + b" 000\n",
        TRAILER[:-1] + b"x",
        b"\x1e%s 7\n" % NONCE.encode(),
        b"\x1e%s 0007\n" % NONCE.encode(),
        b"%s 007\n" % NONCE.encode(),
    ],
)
def test_what_only_looks_like_a_trailer_is_output(almost: bytes) -> None:
    one = TrailerFilter(NONCE)
    assert one.feed(almost) + one.rest() == almost
    assert one.exit_code is None


def test_a_line_is_not_held_back() -> None:
    assert TrailerFilter(NONCE).feed(b"line\n") == b"line\n"


class Ends:
    """Both ends of a connection; what the controller receives is kept."""

    def __init__(self) -> None:
        ours, self.engine = socket.socketpair()
        self.received: list[tuple[Stream, bytes]] = []
        self.arrived = asyncio.Event()
        self.stream = AttachStream(ours, self._receive)

    def _receive(self, stream: Stream, payload: bytes) -> None:
        self.received.append((stream, payload))
        self.arrived.set()

    def close(self) -> None:
        self.stream.close()
        self.engine.close()


async def test_output_is_delivered_as_it_comes() -> None:
    ends = Ends()
    ends.engine.sendall(frame(2, b"hello"))
    await ends.arrived.wait()
    assert ends.received == [(Stream.STDERR, b"hello")]
    ends.close()


async def test_the_engines_hanging_up_ends_the_stream() -> None:
    ends = Ends()
    ends.engine.close()
    await ends.stream.ended.wait()
    ends.close()


async def test_noise_ends_the_stream_and_is_not_delivered() -> None:
    ends = Ends()
    ends.engine.sendall(b"HTTP/1.1 500 no")
    await ends.stream.ended.wait()
    assert ends.received == []
    ends.close()


async def test_what_is_written_arrives_and_after_close_nothing_can_be_written() -> None:
    ends = Ends()
    await ends.stream.write(b"go\n")
    assert ends.engine.recv(10) == b"go\n"
    ends.close()
    ends.stream.close()
    with pytest.raises(SandboxUnavailableError):
        await ends.stream.write(b"go\n")


async def test_writing_to_a_connection_that_broke_is_an_unavailable_sandbox() -> None:
    ends = Ends()
    ends.engine.close()
    with pytest.raises(SandboxUnavailableError):
        await ends.stream.write(b"x" * 1_000_000)
    ends.close()


async def test_a_receiver_may_close_the_stream() -> None:
    ends = Ends()
    ends.stream.deliver_to(lambda *_: ends.close())
    ends.engine.sendall(frame(1, b"a") + frame(1, b"b"))
    await ends.stream.ended.wait()
