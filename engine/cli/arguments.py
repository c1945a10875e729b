"""The command line's grammar: every command, its options, its help with an example, and where its code is.

Importing this must stay cheap: `--help` answers before anything heavy is imported. A command's code is named
by module and function, imported when the command runs; `needs` says what has to be opened for it first.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from engine.cli.escape import one_line
from engine.cli.exits import UsageError
from engine.cli.parser import Parser, did_you_mean, split_at_command

DESCRIPTION: Final = (
    "Run plans of untrusted code changes: each step in its own disposable container over a copy-on-write\n"
    "view of your project. Your files stay as they are until you say `apply`."
)
EPILOG: Final = """\
ID is an execution's id, the start of one, a name, or `last`.
Results go to standard output, everything else to standard error.

exit codes: 0 done; 1 the execution failed; 2 bad usage or bad plan; 3 the environment cannot do it;
            4 cancelled or paused; 5 conflict on apply; 130 interrupted

example: sandstone run plan.yaml && sandstone diff last && sandstone apply last"""

DEFAULT_CHECKS: Final = ("syntax", "lint", "type")
"""What `validate` runs when nothing is said."""

GLOBAL_VALUE_OPTIONS: Final = ("--home", "--color")


class Needs(StrEnum):
    """What a command has to work with."""

    NOTHING = "nothing"
    JOURNAL = "journal"
    """The state directory; no container engine."""
    CONTROL = "control"
    """The same, but what it does to an execution is done by the controller, where one is running."""
    ENGINE = "engine"
    """A controller, or else the state directory and the container engine."""
    OWN_ENGINE = "own engine"
    """The state directory and the container engine, in this process."""


class Commands:
    """Collects the sub-commands."""

    def __init__(self, parser: Parser, shared: Parser) -> None:
        self._parsers = parser.add_subparsers(
            dest="command", metavar="COMMAND", required=True, parser_class=Parser, title="commands"
        )
        self._shared = shared
        self.by_name: dict[str, Parser] = {}

    def add(self, name: str, code: str, needs: Needs, summary: str, example: str) -> Parser:
        """A command: `code` is `module:function` below engine.cli; `summary` one line; `example` what to type."""
        parser: Parser = self._parsers.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog="example: " + example.replace("\n", "\n         "),
            parents=[self._shared],
        )
        parser.set_defaults(code=code, needs=needs)
        self.by_name[name] = parser
        return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Raises UsageError, or HelpAsked with the text asked for."""
    parser, commands = build()
    if list(arguments[:1]) == ["--version"]:
        arguments = ["version", *arguments[1:]]
    options, word = split_at_command(arguments, GLOBAL_VALUE_OPTIONS)
    for option in options:
        if option not in parser.option_names():
            raise _unknown_option(option, parser)
    if word is None and not {"-h", "--help"} & set(options):
        raise UsageError("a command is missing", "see: sandstone --help")
    if word is not None and word not in commands:
        hint = did_you_mean(word, list(commands)) or "see: sandstone --help"
        raise UsageError(f"no command is called {one_line(word)!r}", hint)
    found, unknown = parser.parse_known_args(list(arguments))
    if unknown:
        raise _unknown_option(unknown[0], commands[found.command])
    return found


def _unknown_option(word: str, parser: Parser) -> UsageError:
    what = "unknown option" if word.startswith("-") else "unexpected argument"
    hint = did_you_mean(word.split("=")[0], parser.option_names()) if word.startswith("-") else ""
    return UsageError(f"{what} {one_line(word)}", hint or f"see: {parser.prog} --help")


def build() -> tuple[Parser, dict[str, Parser]]:
    """The whole grammar, and each command's parser by name."""
    parser = Parser(prog="sandstone", description=DESCRIPTION, epilog=EPILOG)
    _add_global_options(parser, default=True)
    parser.add_argument("--version", action="store_true", help="the same as the command version")
    parser.set_defaults(verbose=False)
    shared = Parser(add_help=False)
    _add_global_options(shared, default=False)
    commands = Commands(parser, shared)
    _add_running(commands)
    _add_serve(commands)
    _add_looking(commands)
    _add_result(commands)
    _add_care(commands)
    return parser, commands.by_name


def _add_global_options(parser: Parser, *, default: bool) -> None:
    """Allowed before and after the command; only the ones before it have defaults."""
    group = parser.add_argument_group("global options")
    group.add_argument(
        "--home",
        type=Path,
        metavar="DIR",
        default=None if default else argparse.SUPPRESS,
        help="state directory (default: $SANDSTONE_HOME, else the XDG state directory)",
    )
    group.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto" if default else argparse.SUPPRESS,
        help="auto obeys NO_COLOR, FORCE_COLOR and TERM",
    )
    group.add_argument(
        "-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="say more on standard error"
    )


def _add_running(commands: Commands) -> None:
    run = commands.add(
        "run",
        "run:run_plan",
        Needs.ENGINE,
        "run a plan over a directory",
        "sandstone run plan.yaml -w ~/project\ncat plan.json | sandstone run - --json",
    )
    run.add_argument("plan", metavar="PLAN", help="plan file (YAML or JSON), or - for standard input")
    run.add_argument("-w", "--workspace", type=Path, default=Path(), metavar="DIR", help="default: here")
    run.add_argument("--apply", action="store_true", help="when it completed, apply it to DIR")
    run.add_argument("--keep", action="store_true", help="gc never removes this execution on its own")
    run.add_argument("--name", metavar="NAME", help="name of the execution (default: the plan's)")
    _add_running_options(run)
    resume = commands.add(
        "resume", "run:resume", Needs.ENGINE, "go on with a paused execution", "sandstone resume last"
    )
    _add_id(resume)
    _add_running_options(resume)
    _add_fork(commands)
    _add_control(commands)
    check = commands.add(
        "check",
        "plan:check",
        Needs.NOTHING,
        "read and check a plan without running it",
        "sandstone check plan.yaml",
    )
    check.add_argument("plan", metavar="PLAN", help="plan file, or - for standard input")
    _add_json(check)
    _add_validate(commands)


def _add_validate(commands: Commands) -> None:
    validate = commands.add(
        "validate",
        "validate:validate",
        Needs.ENGINE,
        "check the files that differ from the last commit, or those that are named",
        "sandstone validate\nsandstone validate src --checks lint,type --format sarif >findings.sarif\n"
        "sandstone validate --all --baseline last:c0",
    )
    validate.add_argument("paths", nargs="*", metavar="PATH", help="files and directories (default: what differs)")
    validate.add_argument("-w", "--workspace", type=Path, default=Path(), metavar="DIR", help="default: here")
    validate.add_argument("--all", action="store_true", help="check everything, not what differs from the commit")
    validate.add_argument(
        "--checks",
        type=_names,
        default=list(DEFAULT_CHECKS),
        metavar="NAME,...",
        help=f"checks to run (default: {','.join(DEFAULT_CHECKS)})",
    )
    validate.add_argument(
        "--baseline", metavar="ID[:CHECKPOINT]", help="count only what is not there (default: at its head)"
    )
    validate.add_argument("--fail-on", choices=("error", "warning", "info"), help="the lowest severity that fails")
    validate.add_argument("--fix", action="store_true", help="mend what the linters can, as a checkpoint to apply")
    validate.add_argument("--unsafe-fixes", action="store_true", help="with --fix: also what may change the meaning")
    validate.add_argument("--timeout", default="10m", metavar="TIME", help="for all of it (default: 10m)")
    validate.add_argument(
        "--format", choices=("text", "json", "sarif", "junit", "github"), default="text", help="of standard output"
    )
    validate.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    validate.add_argument("--quiet", "-q", action="store_true", help="no progress")


def _names(text: str) -> list[str]:
    """Names between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _add_fork(commands: Commands) -> None:
    fork = commands.add(
        "fork",
        "run:fork",
        Needs.ENGINE,
        "run on from any checkpoint of an execution, as a second execution",
        "sandstone fork last --from c2\nsandstone fork last --from c2 --plan other.yaml --name second-try",
    )
    _add_id(fork)
    fork.add_argument("--from", dest="checkpoint", required=True, metavar="CHECKPOINT", help="id or name")
    fork.add_argument("--plan", metavar="FILE", help="run this plan from there (default: what is left of ID's plan)")
    fork.add_argument("--name", metavar="NAME", help="name of the new execution (default: the plan's)")
    _add_running_options(fork)


def _add_serve(commands: Commands) -> None:
    serve = commands.add(
        "serve",
        "serve:serve",
        Needs.OWN_ENGINE,
        "be the controller that other programs and the other commands talk to",
        "sandstone serve\nsandstone serve --listen unix:/tmp/me/sandstone.sock",
    )
    serve.add_argument(
        "--listen",
        action="append",
        default=[],
        metavar="ADDR",
        help="unix:PATH or HOST:PORT (default: a socket of yours)",
    )
    for option, text in (
        ("--tls-cert", "certificate of a port (PEM)"),
        ("--tls-key", "its key (PEM, mode 0600)"),
        ("--token-file", "what clients of a port must send (mode 0600)"),
        ("--tls-client-ca", "who signs clients' certificates: they must show one"),
    ):
        serve.add_argument(option, type=Path, metavar="FILE", help=text)
    _add_json(serve, "say where it listens as one object")


def _add_control(commands: Commands) -> None:
    pause = commands.add(
        "pause",
        "control:pause",
        Needs.CONTROL,
        "hold an execution until it is resumed",
        "sandstone pause last --now",
    )
    _add_id(pause)
    when = pause.add_mutually_exclusive_group()
    when.add_argument("--now", action="store_true", help="freeze the running step where it stands")
    when.add_argument("--after-step", action="store_true", help="let the running step end first (the default)")
    _add_reason(pause)
    cancel = commands.add(
        "cancel",
        "control:cancel",
        Needs.CONTROL,
        "end an execution; what its running step changed is thrown away",
        "sandstone cancel last",
    )
    _add_id(cancel)
    _add_reason(cancel)


def _add_reason(parser: Parser) -> None:
    parser.add_argument("--reason", default="asked for", metavar="TEXT", help="why, for those who look at it later")
    _add_json(parser)


def _add_running_options(parser: Parser) -> None:
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress; print only the id")
    _add_json(parser, "print one object with the outcome")


def _add_looking(commands: Commands) -> None:
    status = commands.add(
        "status",
        "look:status",
        Needs.JOURNAL,
        "list executions, or show one with its steps",
        "sandstone status last",
    )
    status.add_argument("id", metavar="ID", nargs="?", help="show this execution")
    status.add_argument("--limit", type=_positive, default=50, metavar="N", help="list the newest N")
    _add_json(status)
    progress = commands.add(
        "progress",
        "look:progress",
        Needs.CONTROL,
        "how far an execution is",
        "sandstone progress last --json",
    )
    _add_id(progress)
    _add_json(progress)
    events = commands.add(
        "events",
        "look:events",
        Needs.JOURNAL,
        "what happened in an execution, in order",
        "sandstone events last --follow",
    )
    _add_id(events)
    events.add_argument("--follow", "-f", action="store_true", help="go on until the execution has ended")
    events.add_argument("--after", type=_not_negative, default=0, metavar="N", help="only numbers above N")
    _add_json(events, "JSON Lines, one event each")
    logs = commands.add(
        "logs",
        "logs:logs",
        Needs.JOURNAL,
        "what the steps printed",
        "sandstone logs last unit --stderr",
    )
    _add_id(logs)
    logs.add_argument("step", metavar="STEP", nargs="?", help="only this step (default: all)")
    streams = logs.add_mutually_exclusive_group()
    streams.add_argument("--stdout", dest="stream", action="store_const", const="stdout", help="only this")
    streams.add_argument("--stderr", dest="stream", action="store_const", const="stderr", help="only this")
    logs.add_argument("--attempt", type=_positive, metavar="N", help="the Nth attempt (default: the last)")
    form = logs.add_mutually_exclusive_group()
    form.add_argument("--raw", action="store_true", help="the exact bytes, unescaped: can harm a terminal")
    _add_json(form)


def _add_result(commands: Commands) -> None:
    checkpoints = commands.add(
        "checkpoints",
        "checkpoints:checkpoints",
        Needs.JOURNAL,
        "the tree of checkpoints, the head marked",
        "sandstone checkpoints last",
    )
    _add_id(checkpoints)
    _add_json(checkpoints)
    checkpoint = commands.add(
        "checkpoint",
        "checkpoints:checkpoint",
        Needs.CONTROL,
        "name the head, to come back to it later",
        "sandstone checkpoint last before-refactoring",
    )
    _add_id(checkpoint)
    checkpoint.add_argument("name", metavar="NAME", help="1 to 100 printable characters")
    _add_json(checkpoint)
    _add_diff_and_export(commands)
    rollback = commands.add(
        "rollback",
        "checkpoints:rollback",
        Needs.CONTROL,
        "move the head back (your files are not touched)",
        "sandstone rollback last --to c2",
    )
    _add_id(rollback)
    rollback.add_argument("--to", metavar="CHECKPOINT", help="id or name (default: one back)")
    _add_json(rollback)
    apply = commands.add(
        "apply",
        "apply:apply",
        Needs.CONTROL,
        "copy an execution's changes into the project, all or nothing",
        "sandstone apply last --dry-run\nsandstone apply last --allow '.github/**'\nsandstone apply last --undo",
    )
    _add_id(apply)
    apply.add_argument("--dry-run", action="store_true", help="say what would be done")
    apply.add_argument("--force", action="store_true", help="also over changes made meanwhile (kept as backup)")
    apply.add_argument(
        "--allow", action="append", default=[], metavar="PATTERN", help="also write protected paths like this"
    )
    apply.add_argument("--undo", action="store_true", help="bring back what the last apply replaced")
    _add_json(apply)


def _add_diff_and_export(commands: Commands) -> None:
    diff = commands.add(
        "diff",
        "difference:diff",
        Needs.JOURNAL,
        "what changed, as a unified diff",
        "sandstone diff last\nsandstone diff last c1..c3 --stat",
    )
    _add_id(diff)
    diff.add_argument("range", metavar="A..B", nargs="?", help="checkpoints; `A` means A..head (default: all changes)")
    diff.add_argument("--stat", action="store_true", help="only files and line counts")
    _add_json(diff)
    diff.add_argument("--exit-code", action="store_true", help="exit 1 when there are differences")
    export = commands.add(
        "export",
        "difference:export",
        Needs.JOURNAL,
        "write the changes to a file",
        "sandstone export last --patch fix.patch\nsandstone export last --tar - | tar t",
    )
    _add_id(export)
    form = export.add_mutually_exclusive_group(required=True)
    form.add_argument("--patch", metavar="FILE", help="a patch that git apply takes; - for standard output")
    form.add_argument("--tar", metavar="FILE", help="the changed files and a list of deletions")


def _add_care(commands: Commands) -> None:
    gc = commands.add(
        "gc",
        "care:gc",
        Needs.JOURNAL,
        "remove what ended more than 7 days ago, and what nothing needs any more",
        "sandstone gc --older-than 1d --keep 10 --dry-run",
    )
    gc.add_argument("--older-than", type=_age, metavar="AGE", help="what ended longer ago: 12h, 7d, 2w")
    gc.add_argument("--keep", type=_not_negative, metavar="N", help="all but the newest N executions")
    gc.add_argument("--all", action="store_true", help="every execution that has ended")
    gc.add_argument("--dry-run", action="store_true", help="only say what would go")
    _add_json(gc)
    doctor = commands.add(
        "doctor",
        "care:doctor",
        Needs.JOURNAL,
        "check what this machine offers and what it lacks",
        "sandstone doctor",
    )
    _add_json(doctor)
    image = commands.add(
        "image",
        "care:image",
        Needs.JOURNAL,
        "build the image that steps run in, or tell its state",
        "sandstone image build",
    )
    image.add_argument("verb", choices=("build", "state"), metavar="build|state", help="what to do")
    image.add_argument("variant", nargs="?", metavar="VARIANT", help="of a variant with tools for single checks: web")
    image.add_argument("--force", action="store_true", help="build even when it is current")
    _add_json(image)
    schema = commands.add(
        "schema",
        "plan:schema",
        Needs.NOTHING,
        "print the JSON Schema of plan files",
        "sandstone schema > plan.schema.json",
    )
    _add_json(schema, "the same: it is JSON")
    version = commands.add("version", "care:version", Needs.NOTHING, "print the version", "sandstone version --json")
    _add_json(version)


def _add_id(parser: Parser) -> None:
    parser.add_argument("id", metavar="ID", help="id, start of an id, name, or `last`")


def _add_json(parser: Any, text: str = "machine-readable") -> None:
    parser.add_argument("--json", action="store_true", help=text)


def _positive(text: str) -> int:
    return _at_least(text, 1)


def _not_negative(text: str) -> int:
    return _at_least(text, 0)


def _at_least(text: str, least: int) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
    return int(text)


_AGE_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _age(text: str) -> timedelta:
    match = re.fullmatch("([0-9]{1,6})([mhdw])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age: write a number and m, h, d or w, as in 7d")
    return timedelta(**{_AGE_UNITS[match[2]]: int(match[1])})
