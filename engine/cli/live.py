"""Draws the board of a running execution on a terminal, in place. Everything drawn comes from
`Board.frame`, already escaped; nothing here reads markup.
"""

from __future__ import annotations

from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from engine.cli.board import Board
from engine.cli.output import Output

RICH_STYLES: Final = {
    "good": "green",
    "bad": "red",
    "warn": "yellow",
    "dim": "dim",
    "bold": "bold",
    "accent": "cyan",
    "": "",
}


class LiveBoard:
    """The board on the terminal between `start` and `stop`; `draw` shows its present state."""

    def __init__(self, board: Board, output: Output, console: Console | None = None) -> None:
        self._board = board
        self._unicode = output.err.unicode
        self._console = console or Console(
            stderr=True, no_color=not output.err.color, highlight=False, markup=False, emoji=False
        )
        self._live = Live(console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._tick = 0

    def start(self) -> None:
        self._live.start()
        self.draw()

    def draw(self) -> None:
        """Draw the next frame."""
        self._tick += 1
        size = self._console.size
        frame = self._board.frame(size.width, size.height - 1, self._tick, self._unicode)
        lines = [
            Text.assemble(
                *((self._encodable(text), RICH_STYLES[style]) for text, style in line),
                no_wrap=True,
                overflow="ellipsis" if self._unicode else "crop",
            )
            for line in frame
        ]
        self._live.update(Group(*lines), refresh=True)

    def _encodable(self, text: str) -> str:
        """What the stream shows as it is: an escape that only it makes is wider than reckoned, and breaks the line."""
        return text if self._unicode else text.encode("ascii", "backslashreplace").decode("ascii")

    def stop(self) -> None:
        """Leave the last frame on the screen. Idempotent."""
        if self._live.is_started:
            self.draw()
            self._live.stop()
