"""What every command that opens the state directory gets: its arguments, the output, the signals, and a way to
open the application it needs.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.cli.arguments import Needs
from engine.cli.exits import Exit
from engine.cli.interrupts import Interrupts
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.app import Application


class Opener(Protocol):
    """How the application is opened: `engine.app.open_application`, or a fake."""

    def __call__(
        self, home: Path | None = None, *, engine: bool, attach: bool = False
    ) -> AbstractAsyncContextManager[Application]: ...


@dataclass(frozen=True, slots=True)
class Session:
    """One run of one command."""

    arguments: argparse.Namespace
    output: Output
    interrupts: Interrupts
    opener: Opener

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Application]:
        """The application with what the command needs, open for the block."""
        home: Path | None = self.arguments.home
        needs = self.arguments.needs
        alone = needs in (Needs.JOURNAL, Needs.OWN_ENGINE)
        engine = needs in (Needs.ENGINE, Needs.OWN_ENGINE)
        async with self.opener(home, engine=engine, attach=not alone) as application:
            if alone:
                yield application
                return
            from engine.reach import reaching  # by commands that change executions

            async with reaching(application) as reached:
                yield reached


Command = Callable[[Session], Awaitable[Exit]]


def run_session(command: Command, arguments: argparse.Namespace, output: Output, opener: Opener) -> Exit:
    """Run the command on an event loop of its own; a signal cancels it unless the command does better."""
    return asyncio.run(_supervised(command, arguments, output, opener))


async def _supervised(command: Command, arguments: argparse.Namespace, output: Output, opener: Opener) -> Exit:
    interrupts = Interrupts(before_leaving=output.show_cursor)
    session = Session(arguments, output, interrupts, opener)
    task = asyncio.ensure_future(command(session))
    with interrupts.installed(), interrupts.doing(lambda: _cancel(task)):
        try:
            return await task
        except asyncio.CancelledError:
            if interrupts.received is None:
                raise
            return interrupts.exit


def _cancel(task: asyncio.Future[Exit]) -> None:
    task.cancel()
