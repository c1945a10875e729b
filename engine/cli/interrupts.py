"""What SIGINT, SIGTERM and SIGHUP do to a command: the first one asks for a clean end, the second ends the
process at once (containers that are left carry the process's lease and are removed by the next command).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from engine.cli.exits import Exit

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """The signals of one command. `received` is the first one that came."""

    def __init__(self, before_leaving: Callable[[], None], leave: Callable[[int], None] = os._exit) -> None:
        self.received: signal.Signals | None = None
        self._before_leaving = before_leaving
        self._leave = leave
        self._action: Callable[[], None] = lambda: None

    @property
    def exit(self) -> Exit:
        """130 for Ctrl-C, 4 when something else ended the command."""
        return Exit.INTERRUPTED if self.received is signal.SIGINT else Exit.CANCELLED

    def receive(self, number: signal.Signals) -> None:
        """A signal came."""
        if self.received is None:
            self.received = number
            self._action()
        else:
            self._before_leaving()
            self._leave(Exit.INTERRUPTED)

    @contextmanager
    def doing(self, action: Callable[[], None]) -> Iterator[None]:
        """In the block, the first signal calls `action`; at once when it came before the block."""
        before, self._action = self._action, action
        try:
            if self.received is not None:
                action()
            yield
        finally:
            self._action = before

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Listen on the running event loop."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.receive, number)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
