"""The only printer. Results go to standard output, everything else to standard error.

Text handed in has been escaped (`engine.cli.escape`); styles are names here, never escape sequences there.
Characters that the stream's encoding lacks are written as escapes. A reader of standard output who leaves
(`| head`) raises `ReaderGone`, which ends the command quietly; a closed standard error is ignored.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TextIO

from engine.cli.escape import json_text

STYLES: Final[Mapping[str, str]] = {
    "good": "32",
    "bad": "31",
    "warn": "33",
    "dim": "2",
    "bold": "1",
    "accent": "36",
}
SHOW_CURSOR: Final = "\x1b[?25h"


class ReaderGone(Exception):
    """Whoever read standard output has closed it."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """What one stream can show. width: columns, 100 when it is no terminal."""

    is_terminal: bool = False
    color: bool = False
    unicode: bool = True
    width: int = 100


def wants_color(choice: str, environment: Mapping[str, str], is_terminal: bool) -> bool:
    """`--color` decides; else NO_COLOR, then FORCE_COLOR, then TERM=dumb, then whether it is a terminal."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return environment["FORCE_COLOR"] != "0"
    return is_terminal and environment.get("TERM") != "dumb"


def terminal_of(stream: TextIO, choice: str, environment: Mapping[str, str]) -> Terminal:
    """Look at a stream."""
    is_terminal = stream.isatty()
    width = 100
    if is_terminal:
        try:
            width = os.get_terminal_size(stream.fileno()).columns or width
        except OSError:
            width = 80
    encoding = (stream.encoding or "ascii").lower().replace("-", "")
    return Terminal(is_terminal, wants_color(choice, environment, is_terminal), encoding == "utf8", width)


class Output:
    """Both streams of one command."""

    def __init__(
        self, color: str = "auto", environment: Mapping[str, str] | None = None, verbose: bool = False
    ) -> None:
        environment = os.environ if environment is None else environment
        self.verbose = verbose
        self.out = terminal_of(sys.stdout, color, environment)
        self.err = terminal_of(sys.stderr, color, environment)
        self.live = self.err.is_terminal and not environment.get("CI") and environment.get("TERM") != "dumb"
        self._err_gone = False

    # -- standard output -------------------------------------------------------------------------

    def result(self, text: str) -> None:
        """A line (or several) of the result."""
        self._write_out((text + "\n").encode(sys.stdout.encoding or "utf-8", "backslashreplace"))

    def result_json(self, value: Any) -> None:
        """One JSON value, readable."""
        self.result(json_text(value))

    def result_json_line(self, value: Any) -> None:
        """One JSON value on one line, for JSON Lines."""
        self.result(json_text(value, indent=None))

    def result_bytes(self, data: bytes) -> None:
        """Bytes as they are. Only for what the user asked for raw."""
        self._write_out(data)

    def _write_out(self, data: bytes) -> None:
        try:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            _detach(sys.stdout)
            raise ReaderGone from error

    def flush(self) -> None:
        """Have what was printed with its readers."""
        flush()

    # -- standard error --------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """A line (or several) for people."""
        self._write_err(text + "\n")

    def detail(self, text: str) -> None:
        """A line that only `-v` shows."""
        if self.verbose:
            self.note(self.styled_err(text, "dim"))

    def error(self, text: str, hint: str = "") -> None:
        """What ended the command, and what would help."""
        self.note(f"{self.styled_err('error:', 'bad')} {text}")
        if hint:
            self.note(f"{self.styled_err('hint:', 'accent')} {hint}")

    def show_cursor(self) -> None:
        """Undo what a live display did to the terminal, before leaving without clean-up."""
        if self.live:
            self._write_err(SHOW_CURSOR + "\n")

    def _write_err(self, text: str) -> None:
        if self._err_gone:
            return
        try:
            sys.stderr.flush()
            sys.stderr.buffer.write(text.encode(sys.stderr.encoding or "utf-8", "backslashreplace"))
            sys.stderr.buffer.flush()
        except BrokenPipeError:
            self._err_gone = True
            _detach(sys.stderr)

    # -- styles ----------------------------------------------------------------------------------

    def styled(self, text: str, style: str) -> str:
        """`text` in a style of STYLES for standard output, or as it is where colour is off."""
        return _styled(text, style) if self.out.color else text

    def styled_err(self, text: str, style: str) -> str:
        """The same for standard error."""
        return _styled(text, style) if self.err.color else text


def fill_in() -> None:
    """Put /dev/null where the caller closed a standard stream: what is opened next must not take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for as long as the process lives


def flush() -> bool:
    """Write out what may be left in either stream; False when that is lost."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return False
    return True


def _styled(text: str, style: str) -> str:
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if text else text


def _detach(stream: TextIO) -> None:
    """Point a broken stream at /dev/null, so that the interpreter's last flush does not complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
