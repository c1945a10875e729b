"""Drives a headless Chromium over a pipe, by the Chrome DevTools Protocol; standard library only.

Messages are JSON objects that end with a zero byte: commands on the browser's descriptor 3, answers and events on its
4. The browser's own sandbox is off, because the container is one: pages run with no network and no rights.
"""

from __future__ import annotations

import json
import os
import resource
import select
import subprocess
import time
from collections.abc import Callable
from typing import Any

MAX_MESSAGE_BYTES = 64 << 20
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
    "--hide-scrollbars", "--remote-debugging-pipe", "--window-size=1280,1024",
)  # fmt: skip


class BrowserError(Exception):
    """The browser did not do what it was told, or went away."""


class Browser:
    """One browser with one page at a time; a context manager that ends it."""

    def __init__(self, program: str, directory: str) -> None:
        read_commands, self._commands = os.pipe()
        self._answers, write_answers = os.pipe()
        os.set_blocking(self._commands, True)

        def hand_over() -> None:
            # Its shared memory is files.
            most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            # Both ends may have numbers that the other is moved to.
            first, second = os.dup(read_commands), os.dup(write_answers)
            os.dup2(first, 3)
            os.dup2(second, 4)

        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={directory}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4, read_commands, write_answers),
            preexec_fn=hand_over,
        )
        os.close(read_commands)
        os.close(write_answers)
        self._buffer = bytearray()
        self._number = 0
        self._session: str | None = None
        self._target = ""
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def open_page(self, limit_s: float) -> None:
        """A new page, in place of the last one."""
        deadline = time.monotonic() + limit_s
        if self._target:
            self.call("Target.closeTarget", {"targetId": self._target}, deadline, whole=True)
        target = self.call("Target.createTarget", {"url": "about:blank"}, deadline, whole=True)["targetId"]
        self._target = target
        answer = self.call("Target.attachToTarget", {"targetId": target, "flatten": True}, deadline, whole=True)
        self._session = answer["sessionId"]
        self.call("Page.enable", {}, deadline)

    def navigate(self, address: str, limit_s: float) -> bool:
        """Load `address`. Returns whether it came to the end of loading in time."""
        deadline = time.monotonic() + limit_s
        self._events.clear()
        answer = self.call("Page.navigate", {"url": address}, deadline)
        if answer.get("errorText"):
            raise BrowserError(str(answer["errorText"]))
        try:
            self._until(lambda message: message.get("method") == "Page.loadEventFired", deadline)
        except TimeoutError:
            return False
        return True

    def evaluate(self, expression: str, limit_s: float) -> Any:
        """The value of an expression, waited for when it is a promise."""
        words = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = self.call("Runtime.evaluate", words, time.monotonic() + limit_s)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            told = (details.get("exception") or {}).get("description") or details.get("text") or "an exception"
            raise BrowserError(str(told)[:300])
        return answer["result"].get("value")

    def call(self, method: str, words: dict[str, Any], deadline: float, whole: bool = False) -> Any:
        """The answer to one command. whole: it is for the browser, not for the page.

        Raises:
          BrowserError: it was refused, or the browser is gone. TimeoutError: no answer in time.
        """
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": words}
        if self._session is not None and not whole:
            message["sessionId"] = self._session
        self._write(json.dumps(message).encode() + b"\0", deadline)
        answer = self._until(lambda told: told.get("id") == number, deadline)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error'].get('message', 'refused')}")
        return answer.get("result", {})

    def _write(self, data: bytes, deadline: float) -> None:
        try:
            while data:
                ready = select.select([], [self._commands], [], max(0.0, deadline - time.monotonic()))[1]
                if not ready:
                    raise TimeoutError
                data = data[os.write(self._commands, data[:65536]) :]
        except BrokenPipeError as error:
            raise BrowserError("the browser is gone") from error

    def _until(self, wanted: Callable[[dict[str, Any]], bool], deadline: float) -> dict[str, Any]:
        """The first message that is wanted, among those that came before and those to come."""
        for index, message in enumerate(self._events):
            if wanted(message):
                return self._events.pop(index)
        while True:
            message = self._read(deadline)
            if message.get("method") == "Page.javascriptDialogOpening":
                self._dismiss(deadline)  # else the page waits for somebody to answer
            if wanted(message):
                return message
            self._events = [*self._events[-200:], message]

    def _dismiss(self, deadline: float) -> None:
        self._number += 1
        words = {"id": self._number, "method": "Page.handleJavaScriptDialog", "params": {"accept": False}}
        self._write(json.dumps({**words, "sessionId": self._session}).encode() + b"\0", deadline)

    def _read(self, deadline: float) -> dict[str, Any]:
        while True:
            end = self._buffer.find(b"\0")
            if end >= 0:
                data = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                message: dict[str, Any] = json.loads(data)
                return message
            if len(self._buffer) > MAX_MESSAGE_BYTES:
                raise BrowserError("the browser says too much")
            if not select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            data = os.read(self._answers, 1 << 20)
            if not data:
                raise BrowserError("the browser is gone")
            self._buffer += data
