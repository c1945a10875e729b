"""The command line's grammar."""

from __future__ import annotations

import argparse
import importlib
from datetime import timedelta
from pathlib import Path

import pytest

from engine.cli.arguments import Needs, build, parse
from engine.cli.exits import UsageError
from engine.cli.parser import HelpAsked, Parser


def commands() -> dict[str, Parser]:
    return build()[1]


def refusal(*arguments: str) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        parse(arguments)
    return str(caught.value), caught.value.hint


def test_a_misspelt_command_is_answered_with_the_nearest() -> None:
    assert refusal("sttaus") == ("no command is called 'sttaus'", "did you mean status?")


def test_a_misspelt_option_is_answered_with_the_nearest() -> None:
    assert refusal("run", "p.yaml", "--jsn") == ("unknown option --jsn", "did you mean --json?")
    assert refusal("--colour", "never", "status")[1] == "did you mean --color?"


def test_a_word_too_many_is_refused_by_name() -> None:
    assert refusal("status", "a", "b")[0] == "unexpected argument b"


def test_nothing_at_all_is_refused() -> None:
    assert refusal() == ("a command is missing", "see: sandstone --help")


def test_a_misspelt_command_cannot_draw_on_the_terminal() -> None:
    message, _ = refusal("\x1b]0;title\x07")
    assert "\x1b" not in message
    assert "\x07" not in message


def test_options_are_not_abbreviated() -> None:
    assert refusal("status", "--js")[0] == "unknown option --js"


@pytest.mark.parametrize("arguments", [("--home", "/x", "status"), ("status", "--home", "/x")])
def test_global_options_stand_before_or_after_the_command(arguments: tuple[str, ...]) -> None:
    found = parse(arguments)
    assert found.home == Path("/x")
    assert found.color == "auto"
    assert found.verbose is False


def test_the_version_option_is_the_version_command() -> None:
    assert parse(["--version"]).command == "version"


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90m", timedelta(minutes=90)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_ages_are_a_number_and_a_unit(text: str, age: timedelta) -> None:
    assert parse(["gc", "--older-than", text]).older_than == age


@pytest.mark.parametrize("text", ["7", "d", "-1d", "1.5d", "7 d", "1y", "9999999d"])
def test_other_ages_are_refused(text: str) -> None:
    assert "is not an age" in refusal("gc", f"--older-than={text}")[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "last"),
        ("export", "last", "--patch", "a", "--tar", "b"),
        ("logs", "last", "--stdout", "--stderr"),
        ("logs", "last", "--attempt", "0"),
        ("events", "last", "--after", "-1"),
        ("image", "biuld"),
        ("status", "--limit", "x"),
        ("run",),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...]) -> None:
    refusal(*arguments)


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    with pytest.raises(HelpAsked) as caught:
        parse([name, "--help"])
    text = str(caught.value)
    assert f"example: {'sandstone' if name != 'cat' else ''} {name}".replace("  ", " ") in text
    parser = commands()[name]
    undocumented = [action.dest for action in parser._actions if action.help is None and action.dest not in ("name",)]
    assert undocumented == []


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_example_parses(name: str) -> None:
    epilog = commands()[name].epilog
    assert epilog is not None
    for line in epilog.removeprefix("example: ").splitlines():
        for part in line.split("|"):
            words = part.split(">")[0].replace("'", "").split()
            if words[0] == "sandstone":
                parse(words[1:])


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_code(name: str) -> None:
    parser = commands()[name]
    module, function = parser.get_default("code").split(":")
    assert callable(getattr(importlib.import_module(f"engine.cli.{module}"), function))
    assert isinstance(parser.get_default("needs"), Needs)


def test_reading_commands_offer_json() -> None:
    for name in ("run", "status", "progress", "events", "logs", "checkpoints", "diff", "doctor", "version", "gc"):
        assert "--json" in commands()[name].option_names(), name


def test_the_parser_never_exits() -> None:
    with pytest.raises(HelpAsked):
        build()[0].parse_args(["--help"])
    assert issubclass(Parser, argparse.ArgumentParser)
