"""argparse as the `sandstone` command uses it: it returns or raises, never prints and never exits.

Unknown commands and options are answered with the nearest known one. Long options are never abbreviated, so
that a new option cannot change what an old script means.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from engine.cli.escape import one_line
from engine.cli.exits import UsageError

COMMAND_WIDTH: Final = 24


class HelpAsked(Exception):
    """`--help` was given; the message is the help text."""


class Parser(argparse.ArgumentParser):
    """One parser: of the whole command, or of one sub-command."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", _formatter)
        super().__init__(*args, **kwargs)

    def print_help(self, file: Any = None) -> NoReturn:
        """Raises HelpAsked."""
        raise HelpAsked(self.format_help().rstrip("\n"))

    def error(self, message: str) -> NoReturn:
        """Raises UsageError with the parser's usage as the hint."""
        raise UsageError(one_line(message), f"see: {self.prog} --help")

    def option_names(self) -> list[str]:
        """Every option this parser knows."""
        return list(self._option_string_actions)


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=COMMAND_WIDTH, width=100)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A hint that names the nearest known words, or nothing."""
    import difflib  # for who has mistyped a word

    near = difflib.get_close_matches(word, known, 3, 0.6)
    return f"did you mean {' or '.join(near)}?" if near else ""


def split_at_command(arguments: Sequence[str], value_options: Sequence[str]) -> tuple[list[str], str | None]:
    """The options before the command, without their values, and the command asked for."""
    options: list[str] = []
    values_to_skip = False
    for argument in arguments:
        if values_to_skip:
            values_to_skip = False
        elif argument.startswith("-"):
            options.append(argument.split("=")[0])
            values_to_skip = argument in value_options
        else:
            return options, argument
    return options, None
