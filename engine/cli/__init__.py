"""The `sandstone` command. `main` reads the arguments, finds the command's code, runs it, and turns whatever
comes out into an exit code and a message. Importing this package imports nothing heavy: models, containers,
terminals and the event loop are imported by the commands that use them.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from engine.cli.arguments import Needs, parse
from engine.cli.exits import Exit, UsageError, exit_of
from engine.cli.failures import hint_of, message_of
from engine.cli.output import Output, ReaderGone, fill_in, flush
from engine.cli.parser import HelpAsked

if TYPE_CHECKING:
    import argparse

    from engine.cli.session import Opener


def main(arguments: Sequence[str] | None = None, opener: Opener | None = None) -> int:
    """Run one command; returns its exit code. `opener` replaces `engine.app.open_application`.

    Without `arguments` it is the whole program: it takes those of the process, and ends the process.
    """
    if arguments is None:
        # Nothing that is imported is ever garbage; looking for some takes as long as a step.
        gc.disable()
        fill_in()
        _leave(_command(sys.argv[1:], opener))
    return _command(arguments, opener)


def _leave(code: int) -> NoReturn:
    """End the process as it is: every command has closed what it opened, and what the interpreter would do besides
    is to take itself apart, piece by piece, and to wait for threads whose calls nobody waits for any more."""
    if "logging" in sys.modules:
        sys.modules["logging"].shutdown()
    os._exit(code if flush() else code or Exit.UNFIT)


def _command(arguments: Sequence[str], opener: Opener | None) -> int:
    try:
        parsed = parse(arguments)
    except HelpAsked as asked:
        text = str(asked)
        return _guarded(lambda: _show_help(text), Output())
    except UsageError as error:
        output = Output()
        output.error(message_of(error), hint_of(error))
        return exit_of(error)
    output = Output(parsed.color, verbose=parsed.verbose)
    return _guarded(lambda: _run(parsed, output, opener), output)


def _show_help(text: str) -> Exit:
    Output().result(text)
    return Exit.DONE


def _run(parsed: argparse.Namespace, output: Output, opener: Opener | None) -> Exit:
    module, function = parsed.code.split(":")
    code = getattr(importlib.import_module(f"engine.cli.{module}"), function)
    result: Exit
    if parsed.needs is Needs.NOTHING:
        result = code(parsed, output)
        return result
    from engine.cli.session import run_session

    if opener is None:
        from engine.app import open_application

        opener = open_application
    gc.freeze()
    gc.enable()
    return run_session(code, parsed, output, opener)


def _guarded(action: Callable[[], Exit], output: Output) -> int:
    """The action's exit code, or that of the error that ended it, said on standard error."""
    try:
        return action()
    except ReaderGone:
        return Exit.DONE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost place: whatever it is, it is shown escaped
        output.error(message_of(error), hint_of(error))
        return exit_of(error)
