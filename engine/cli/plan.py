"""Plans on the command line: reading one from a file or standard input, `check`, and `schema`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.cli.escape import one_line
from engine.cli.exits import Exit, UsageError, exit_of
from engine.cli.failures import message_of
from engine.cli.output import Output
from engine.cli.shapes import error_json
from engine.cli.timing import plural
from engine.errors import PlanError
from engine.plan.model import Plan
from engine.plan.parse import load_plan, parse_plan
from engine.plan.source import MAX_BYTES

STDIN: Final = "-"
STDIN_NAME: Final = "<stdin>"


def read_plan(argument: str) -> Plan:
    """The plan that PLAN names.

    Raises:
      PlanError: it is wrong, or cannot be read.
    """
    if argument == STDIN:
        return parse_plan(sys.stdin.buffer.read(MAX_BYTES + 1), STDIN_NAME)
    return load_plan(Path(argument))


def secrets_of(plan: Plan, environment: Mapping[str, str]) -> dict[str, str]:
    """The values of the plan's secrets from the caller's environment.

    Raises:
      UsageError: some are not set; names them all.
    """
    missing = [name for name in plan.secrets if name not in environment]
    if missing:
        names = ", ".join(one_line(name) for name in missing)
        raise UsageError(
            f"the plan names secrets that the environment does not have: {names}",
            f"export {one_line(missing[0])}=... and run it again",
        )
    return {name: environment[name] for name in plan.secrets}


def check(arguments: argparse.Namespace, output: Output) -> Exit:
    """`sandstone check PLAN`: read and check, run nothing."""
    try:
        plan = read_plan(arguments.plan)
    except PlanError as error:
        if not arguments.json:
            raise
        output.result_json({"ok": False, "error": message_of(error), **error_json(error)})
        return exit_of(error)
    if arguments.json:
        output.result_json({"ok": True, "name": plan.name or None, "digest": plan.digest, "steps": len(plan.steps)})
    else:
        output.result(
            f"{one_line(plan.name or arguments.plan)}: {plural(len(plan.steps), 'step')}, nothing wrong found"
        )
    return Exit.DONE


def schema(arguments: argparse.Namespace, output: Output) -> Exit:
    """`sandstone schema`."""
    from engine.plan.schema import plan_schema

    output.result_json(plan_schema())
    return Exit.DONE
