"""The attach stream of a container: its only way in and out.

The engine multiplexes stdout and stderr into frames (an 8-byte header, then the payload); what is written goes
to the container's stdin. The stream is always drained, from the moment it exists: an attach stream that nobody
reads wedges the engine's other calls for that container. Nothing here keeps output; whoever receives it does.

`FrameDecoder` and `TrailerFilter` are pure; `AttachStream` joins them to a socket and the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final

from sandbox.errors import SandboxUnavailableError
from sandbox.spec import Stream

_LOG: Final = logging.getLogger(__name__)
_HEADER: Final = struct.Struct(">BxxxL")
_STREAMS: Final = {1: Stream.STDOUT, 2: Stream.STDERR}
_READ_BYTES: Final = 256 * 1024
"""Read at most this much per turn of the event loop, so that a flood leaves room for everyone else."""


class FrameDecoder:
    """Takes the engine's stream apart. Payloads are handed on as they come: a frame is never collected."""

    def __init__(self) -> None:
        self._header = b""
        self._stream = Stream.STDOUT
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        """The payloads in `data`, in order.

        Raises SandboxUnavailableError: this is not an attach stream.
        """
        position = 0
        while position < len(data):
            if not self._left:
                position = self._take_header(data, position)
                continue
            payload = data[position : position + self._left]
            position += len(payload)
            self._left -= len(payload)
            yield self._stream, payload

    def _take_header(self, data: bytes, position: int) -> int:
        needed = _HEADER.size - len(self._header)
        self._header += data[position : position + needed]
        if len(self._header) == _HEADER.size:
            kind, self._left = _HEADER.unpack(self._header)
            if kind not in _STREAMS:
                raise SandboxUnavailableError(f"the engine sent a frame of kind {kind} on an attach stream")
            self._stream = _STREAMS[kind]
            self._header = b""
        return position + needed


class TrailerFilter:
    """Separates one stream's output from the gate's trailer, which may be split over chunks.

    At most the trailer's own length is held back, and only while it could be one.
    """

    def __init__(self, nonce: str) -> None:
        self._start = b"\x1e" + nonce.encode("ascii") + b" "
        self._pattern = re.compile(re.escape(self._start) + rb"([0-9]{3})\n")
        self._length = len(self._start) + 4
        self._held = b""
        self.exit_code: int | None = None
        """What the trailer said, once it has come. Everything after it is dropped."""

    def feed(self, chunk: bytes) -> bytes:
        """The part of the stream that is known, after `chunk`, to be output."""
        if self.exit_code is not None:
            return b""
        data = self._held + chunk
        self._held = b""
        found = self._pattern.search(data)
        if found:
            self.exit_code = int(found[1])
            return data[: found.start()]
        mark = data.rfind(b"\x1e", max(0, len(data) - self._length + 1))
        if mark >= 0 and self._may_become_trailer(data[mark:]):
            self._held = data[mark:]
            return data[:mark]
        return data

    def rest(self) -> bytes:
        """What was held back, when the stream ends without a trailer."""
        held, self._held = self._held, b""
        return held

    def _may_become_trailer(self, candidate: bytes) -> bool:
        start = self._start
        if len(candidate) <= len(start):
            return start.startswith(candidate)
        return candidate.startswith(start) and candidate[len(start) :].isdigit()


Receiver = Callable[[Stream, bytes], None]


class AttachStream:
    """A container's attach connection on the event loop. Owns the socket.

    `ended` is set when the engine has closed its side, the connection broke, or what came is no attach stream.
    """

    def __init__(self, connection: socket.socket, receiver: Receiver) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        self._receiver = receiver
        self._decoder = FrameDecoder()
        self._loop = asyncio.get_running_loop()
        self._open = True
        self.ended = asyncio.Event()
        self._loop.add_reader(connection.fileno(), self._on_readable)

    def deliver_to(self, receiver: Receiver) -> None:
        """Give everything that comes from now on to `receiver`."""
        self._receiver = receiver

    async def write(self, data: bytes) -> None:
        """Send `data` to the container's stdin.

        Raises SandboxUnavailableError: the connection is closed or broke.
        """
        if not self._open:
            raise SandboxUnavailableError("the container's stdin is closed")
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError as error:
            raise SandboxUnavailableError(f"the container's stdin: {error}") from error

    def close(self) -> None:
        """Close the connection; the container's stdin ends with it. Idempotent."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self.ended.set()

    def _on_readable(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # A broken connection is an ended one; whether the container died is asked of the kernel.
            data = b""
        try:
            self._deliver(data)
        except SandboxUnavailableError as error:
            _LOG.warning("an attach stream is given up: %s", error)
            data = b""
        if not data and self._open:
            self._loop.remove_reader(self._socket.fileno())
            self.ended.set()

    def _deliver(self, data: bytes) -> None:
        for stream, payload in self._decoder.feed(data):
            self._receiver(stream, payload)
            if not self._open:
                return
