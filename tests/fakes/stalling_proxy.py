"""A socket in front of the engine's that can stop answering in the middle of an answer, as a wedged engine does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_CHUNK: Final = 65536


class StallingProxy:
    """Hands everything on, until `stall` names a call; of that one's answer only so many bytes come."""

    def __init__(self, path: Path, engine: str) -> None:
        self.path = path
        self._engine = engine
        self._wanted: tuple[bytes, bytes] | None = None
        self._after = 0
        self.stalled = threading.Event()
        self._released = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._closing = False
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def stall(self, method: str, call: str, after: int) -> None:
        """Answer the next `METHOD .../call` with `after` bytes and then nothing more, until `release`."""
        self._after = after
        self._wanted = (method.encode(), call.encode())

    def release(self) -> None:
        """Close what was stalled."""
        self._released.set()

    def close(self) -> None:
        """End it, and every connection through it."""
        self._closing = True
        self.release()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
        self.path.unlink(missing_ok=True)

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(self._engine)
            connection = _Connection(self, client, engine)
            self._start(connection.answer, self._start(connection.ask))

    def takes(self, request: bytes) -> bool:
        """Whether this is the call to be stalled; once."""
        line = request.split(b"\r\n", 1)[0]
        if self._wanted is None or not line.startswith(self._wanted[0]) or self._wanted[1] not in line:
            return False
        self._wanted = None
        return True

    def hold(self) -> None:
        """Say nothing more until released."""
        self.stalled.set()
        self._released.wait()

    @property
    def after(self) -> int:
        return self._after


class _Connection:
    def __init__(self, proxy: StallingProxy, client: socket.socket, engine: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._engine = engine
        self._left: int | None = None

    def ask(self) -> None:
        for data in _chunks(self._client):
            if self._proxy.takes(data):
                self._left = self._proxy.after
            with contextlib.suppress(OSError):
                self._engine.sendall(data)
        _end(self._engine, socket.SHUT_WR)

    def answer(self, asking: threading.Thread) -> None:
        for data in _chunks(self._engine):
            allowed = data if self._left is None else data[: self._left]
            with contextlib.suppress(OSError):
                self._client.sendall(allowed)
            if self._left is not None:
                self._left -= len(allowed)
                if self._left == 0:
                    self._proxy.hold()
                    break
        _end(self._client, socket.SHUT_RDWR)
        _end(self._engine, socket.SHUT_RDWR)
        asking.join()
        self._client.close()
        self._engine.close()


def _chunks(connection: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            data = connection.recv(_CHUNK)
        except OSError:
            return
        if not data:
            return
        yield data


def _end(connection: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(how)
