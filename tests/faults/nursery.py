"""`sandstone` commands that start in no time: a process that has imported everything forks one for each.

Importing takes longer than most commands, and who kills a command a hundred times waits for nothing else. What is
forked is a real process of its own, in its own session, that runs the command's `main` and dies like any other.

Run as a program it is the nursery: on the socket that is its standard input, one message a command (its arguments
and variables as JSON, its working directory, descriptors for standard input, output and error), answered with a
process id; `wait PID` is answered with the exit status.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

_MESSAGE: Final = 1 << 20
_BROKEN: Final = 70


class Child:
    """A command that the nursery forked, with those parts of `subprocess.Popen` that the tests use."""

    def __init__(self, nursery: Nursery, pid: int, stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self._nursery = nursery
        self._pidfd = os.pidfd_open(pid)
        self.pid = pid
        self.stdin: IO[bytes] | None = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._pidfd, selectors.EVENT_READ)
                if selector.select(0):
                    self._ended()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._pidfd, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired("sandstone", timeout or 0)
            return self._ended()
        return self.returncode

    def _ended(self) -> int:
        self.returncode = self._nursery.status_of(self.pid)
        os.close(self._pidfd)
        self._nursery.forget(self)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """What it still prints, to its end. Once only."""
        deadline = None if timeout is None else time.monotonic() + timeout
        said: dict[Any, bytes] = {self.stdout: b"", self.stderr: b""}
        with selectors.DefaultSelector() as selector:
            for stream in said:
                if not stream.closed:
                    selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                ready = selector.select(left)
                if not ready:
                    raise subprocess.TimeoutExpired("sandstone", timeout or 0)
                for key, _ in ready:
                    data = os.read(key.fd, 65536)
                    said[key.fileobj] += data
                    if not data:
                        selector.unregister(key.fileobj)
                        key.fileobj.close()  # type: ignore[union-attr]
        self.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return said[self.stdout], said[self.stderr]

    def close(self) -> None:
        """Let go of it; it has ended."""
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()


class Nursery:
    """A process that forks commands. Not safe to use from several threads."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MESSAGE)
        self._process = subprocess.Popen([sys.executable, "-m", "tests.faults.nursery"], stdin=theirs, cwd=_ROOT)
        theirs.close()
        self._socket = ours
        self._children: list[Child] = []

    def spawn(self, arguments: Sequence[str], environment: Mapping[str, str], directory: Path) -> Child:
        """`sandstone ARGUMENTS` in a session of its own."""
        (in_read, in_write), (out_read, out_write), (err_read, err_write) = (os.pipe() for _ in range(3))
        message = json.dumps({"arguments": list(arguments), "environment": dict(environment), "cwd": str(directory)})
        socket.send_fds(self._socket, [message.encode()], [in_read, out_write, err_write])
        for fd in (in_read, out_write, err_write):
            os.close(fd)
        pid = int(self._answer())
        child = Child(self, pid, os.fdopen(in_write, "wb"), os.fdopen(out_read, "rb"), os.fdopen(err_read, "rb"))
        self._children.append(child)
        return child

    def status_of(self, pid: int) -> int:
        """Its exit code, negative for a signal. Preconditions: it has ended; asked once."""
        self._socket.send(f"wait {pid}".encode())
        return int(self._answer())

    def forget(self, child: Child) -> None:
        """It has ended."""
        self._children.remove(child)

    def _answer(self) -> bytes:
        answer = self._socket.recv(100)
        assert answer, "the nursery has ended"
        return answer

    def close(self) -> None:
        """End it, and whatever it forked."""
        for child in tuple(self._children):
            child.kill()
            child.wait()
            child.close()
        self._socket.close()
        self._process.wait()


_ROOT: Final = Path(__file__).parents[2]


def _serve(connection: socket.socket) -> None:
    """The nursery's own loop: no threads, nothing opened, so that a fork is as good as a new process."""
    _import_everything()
    while True:
        message, fds, _, _ = socket.recv_fds(connection, _MESSAGE, 3)
        if not message:
            return
        if message.startswith(b"wait "):
            _, status = os.waitpid(int(message[5:]), 0)
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if pid == 0:
            connection.close()
            _become(json.loads(message), fds)
        for fd in fds:
            os.close(fd)
        connection.send(str(pid).encode())


def _import_everything() -> None:
    import importlib
    import pkgutil

    import docker.errors  # noqa: F401
    import requests.exceptions  # noqa: F401

    import engine.app
    import engine.cli

    for module in pkgutil.iter_modules(engine.cli.__path__, "engine.cli."):
        importlib.import_module(module.name)
    # It does not live through a fork: a command that serves imports it by itself.
    assert "grpc" not in sys.modules, "something imports grpc that every command imports"


def _become(wanted: dict[str, Any], fds: Sequence[int]) -> None:
    """Be the command. Never returns."""
    from engine.cli import main
    from sandbox.failpoints import VARIABLE, arm

    try:
        os.setsid()
        for target, fd in enumerate(fds):
            os.dup2(fd, target)
        os.closerange(3, 64)
        os.environ.clear()
        os.environ.update(wanted["environment"])
        os.chdir(wanted["cwd"])
        sys.argv = ["sandstone", *wanted["arguments"]]
        arm(os.environ.get(VARIABLE, ""))
        main()  # as the whole program: it ends the process
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(_BROKEN)


if __name__ == "__main__":
    with socket.socket(fileno=os.dup(0)) as link:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        _serve(link)
