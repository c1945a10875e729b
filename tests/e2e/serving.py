"""`sandstone serve` as a process of a test."""

from __future__ import annotations

import json
import signal
from typing import IO

from engine.rpc.address import UnixAddress
from tests.e2e.command_bench import CommandBench, Running


class Serving:
    """A controller that runs; ended by the test, or at the end of its block."""

    def __init__(self, bench: CommandBench) -> None:
        self.address = UnixAddress(bench.directory / "run" / "c.sock")
        self.running: Running = bench.begin("serve", "--listen", f"unix:{self.address.path}", "--json")
        stream = self.running.process.stdout
        assert stream is not None
        self.told = json.loads(first_object(stream))

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.running.process.send_signal(number)
        code, _ = self.running.ended()
        return code

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running.process.poll() is None:
            self.end(signal.SIGKILL)


def first_object(stream: IO[bytes]) -> str:
    """The first JSON object on the stream, which stays open."""
    text = ""
    while not text.rstrip().endswith("}"):
        line = stream.readline()
        assert line, f"it ended: {text}"
        text += line.decode()
    return text
