"""The board on a terminal: each frame takes the place of the one before."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from engine.cli.board import Board
from engine.cli.live import LiveBoard
from engine.cli.output import Output, Terminal
from engine.events.types import OutputChunk
from engine.journal.records import StepRecord
from engine.journal.states import StepState
from sandbox.spec import Stream

WIDTH = 40


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_no_line_is_wider_than_the_terminal_whatever_its_encoding_lacks(encoding: str) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding, errors="backslashreplace")
    console = Console(file=stream, force_terminal=True, width=WIDTH, height=20, no_color=True, markup=False)
    output = Output(environment={})
    output.err = Terminal(is_terminal=True, unicode=encoding == "utf-8", width=WIDTH)
    step = StepRecord("e", 0, "unit", "test", StepState.RUNNING)
    board = Board("fix", "0123456789ab", [step], {"unit": "1GiB, 1 cpu, 2m, and more"}, lambda: 0.0)
    board.output(OutputChunk("e", "unit", 1, Stream.STDOUT, "日本語の出力".encode() + b" of a step that says much"))
    live = LiveBoard(board, output, console)
    live.start()
    drawn = len(written.getvalue())
    live.draw()
    stream.flush()
    shown = written.getvalue()[drawn:].decode(encoding)
    lines = [line for part in shown.split("\n") for line in part.split("\r")]
    assert max(map(visible_width, lines)) <= WIDTH
    assert any("unit" in line for line in lines)
    live.stop()


def visible_width(line: str) -> int:
    return cell_len(Text.from_ansi(line).plain)
